"""Other systems' policies as a simulation takes them: thin, around `northstar.policy.baselines`."""
