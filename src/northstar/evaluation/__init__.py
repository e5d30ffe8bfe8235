"""Did we meet the targets? Figures from what runs left, beside the specification, the goals and the baselines."""
