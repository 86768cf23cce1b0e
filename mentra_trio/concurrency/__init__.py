"""Floor 2, Trio shapes that know nothing of glasses or apps."""
