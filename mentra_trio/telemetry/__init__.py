"""Floor 5, where facts go: log lines, metrics, the journal."""
