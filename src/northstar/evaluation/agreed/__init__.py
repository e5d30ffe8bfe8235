"""The agreed scenarios: what is run so that the targets can be judged, as files that people read, and how figures follow from the runs."""
