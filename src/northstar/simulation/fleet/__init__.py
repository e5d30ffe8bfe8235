"""Fleets on paper: kinds of machines in groups, when each of them comes and goes, and what befalls them on the way."""
