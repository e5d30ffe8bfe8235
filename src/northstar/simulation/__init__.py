"""What the whole fleet would do: the deployed broker on a virtual clock."""
