"""Floor 8, what tests of the package and of its users stand on."""
