"""Values that every layer shares: no I/O, and nothing here imports a sibling layer."""
