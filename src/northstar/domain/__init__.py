"""What the things are: frozen types without I/O, shared by every other layer."""
