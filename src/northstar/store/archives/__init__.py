"""Archives of an installation: one file, whole or not there, whose every byte is verified before anything is done by it."""
