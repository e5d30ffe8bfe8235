"""The broker: takes jobs in, and sees that each meets a machine."""
