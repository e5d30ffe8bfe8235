"""The composition root: which parts make a running process. Nothing else puts services, stores and connectors together."""
