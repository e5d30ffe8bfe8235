"""Who may try to come in, and how often."""
