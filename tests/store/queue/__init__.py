"""The queue's promises: a specification by example, and random operations against a reference model."""
