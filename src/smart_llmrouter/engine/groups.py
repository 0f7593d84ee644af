"""Which group a request names, and whether its caller may use it."""

from smart_llmrouter.config.snapshot import Group, Snapshot
from smart_llmrouter.core.errors import MissingModel, ModelNotAllowed
from smart_llmrouter.engine.entry import Entry


def allowed_group(name: str | None, entry: Entry, snapshot: Snapshot) -> Group:
    """Return the group of this name or alias, and note it in the entry.

    Raises `MissingModel`, and `ModelNotAllowed` also where there is no such group.
    """
    asked = name or snapshot.server.default_group
    if asked is None:
        raise MissingModel
    group = snapshot.groups_by_name.get(asked)
    if group is None or group.name not in entry.arrival.caller.allowed_groups:
        raise ModelNotAllowed
    # Only a name that the configuration knows is written down: anything else is the
    # caller's free text.
    entry.requested_model = name
    entry.group = group
    return group
