"""What keeps a policy from being used at all."""


class PolicyUnusable(Exception):
    """A policy cannot decide anything; the message says why and what to do."""
