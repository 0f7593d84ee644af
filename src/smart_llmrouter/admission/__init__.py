"""The gate: the only way to a provider. It takes all that a call needs, or nothing."""
