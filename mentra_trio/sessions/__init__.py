"""Floor 4, the actors: user sessions and app sessions, each one a nursery."""
