"""Short requests go to the cheapest target, long ones to the one that reads most.

For the strategy `script`: the router calls `route` for each call. What is at the top
level runs once, when a process is started.
"""

SHORT_TOKENS = 4_000


def route(ctx):
    """Return the target that is tried first; the others follow as they are listed."""
    targets = ctx["targets"]
    if ctx["context"]["estimatedTokens"] <= SHORT_TOKENS:
        return {"target": min(targets, key=price)["label"], "classLabel": "short"}
    widest = max(targets, key=lambda target: target["contextTokens"] or 0)
    return {"target": widest["label"], "classLabel": "long"}


def price(target):
    """Return what a million input tokens cost; what is unknown comes last."""
    known = target["inputPricePerMillionUsd"]
    return float("inf") if known is None else known
