"""From plain configurations to objects: data, student, method, optimiser."""
