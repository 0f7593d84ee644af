"""What the dialects of clients and providers look like; no I/O, and no dialect knows another."""
