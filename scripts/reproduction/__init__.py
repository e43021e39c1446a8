"""What scripts/reproduce.py does with the declared tables: run, plan and show them, and write the pages' tables."""
