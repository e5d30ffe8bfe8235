"""What should happen, and why: pure functions of a snapshot, parameters and the time."""
