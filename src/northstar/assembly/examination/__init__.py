"""Gathering the facts by which `policy.health_checks` judges: each question bounded in time, and nothing changed by asking."""
