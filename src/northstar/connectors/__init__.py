"""How North Star makes an engine do the work: one contract, one module per kind of engine."""
