"""The dialects of clients and providers; no I/O, and no dialect knows another."""
