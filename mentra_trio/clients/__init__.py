"""Floor 7, the other ends of the wire: glasses and apps, for demonstrations, tests and users."""
