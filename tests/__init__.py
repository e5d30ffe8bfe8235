"""The tests, as a package, so that one test module can borrow from another by name."""
