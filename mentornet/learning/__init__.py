"""How a MentorNet is learned: from a formula or a loss dump, alone or as a mixture; ``python -m`` runs it."""
