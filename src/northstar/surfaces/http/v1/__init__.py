"""The HTTP interface of North Star itself, below `/v1`."""
