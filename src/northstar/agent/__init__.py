"""The agent: turns a host into a machine that takes work."""
