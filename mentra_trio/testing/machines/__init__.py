"""Rule-based machines over user and app sessions, to run as they are or to subclass."""
