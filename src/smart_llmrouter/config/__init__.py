"""YAML in, frozen snapshot out: reading, checking, explaining and fingerprinting."""
