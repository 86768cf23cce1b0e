"""The real app SDK under Node and a scripted phone against ``mentra-trio serve`` as a process."""
