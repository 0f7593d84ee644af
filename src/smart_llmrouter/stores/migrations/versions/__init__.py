"""One module a revision; `HEAD_REVISION` in `stores.database` names the last."""
