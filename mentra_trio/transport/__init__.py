"""Floor 5, streams in, HTTP requests and links out: one port for both, on any Trio stream."""
