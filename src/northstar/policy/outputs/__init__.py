"""What becomes of the files that jobs left."""
