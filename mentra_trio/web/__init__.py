"""Floor 5, the HTTP routes: for apps, for phones, for operators, and a small console."""
