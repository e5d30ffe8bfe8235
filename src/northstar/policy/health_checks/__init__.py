"""What is wrong with an installation, and what mends it: facts in, findings out. Who gathers the facts is elsewhere."""
