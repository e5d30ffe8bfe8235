"""Copies of a cell: one taken beside it in a single transaction, to be read in peace; and one staged beside it, to take its place."""
