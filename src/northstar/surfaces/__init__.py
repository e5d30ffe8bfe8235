"""How people and programs reach North Star: HTTP fronts and the command line."""
