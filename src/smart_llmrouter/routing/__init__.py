"""Which targets can serve a request, and in which order they are tried. No I/O."""
