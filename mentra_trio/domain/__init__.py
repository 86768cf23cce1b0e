"""Floor 1, the rules: pure functions and frozen values; no I/O, no clock, no event loop."""
