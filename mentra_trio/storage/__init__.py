"""Floor 5, what is remembered: registrations, wishes, settings and secrets."""
