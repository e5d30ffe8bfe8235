"""Scenarios: files that say what is simulated, read strictly, and run."""
