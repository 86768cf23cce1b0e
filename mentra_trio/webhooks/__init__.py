"""Floor 5, calls to app servers over HTTP."""
