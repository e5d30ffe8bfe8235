"""The regression gate: small scenarios, what they came to when their limits were measured, and whether they still do."""
