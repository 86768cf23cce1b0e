"""Floor 2, the wire: translates bytes to messages and back; no I/O, no clock, no event loop."""
