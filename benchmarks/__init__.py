"""Measurements of North Star, each beside a baseline: `python -m benchmarks [NAME ...]`."""
