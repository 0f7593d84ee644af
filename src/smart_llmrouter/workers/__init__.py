"""Several workers on one port: the parent that starts them, watches them, ends them."""
