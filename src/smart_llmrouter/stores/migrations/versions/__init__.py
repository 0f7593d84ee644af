"""One module a revision; `HEAD_REVISION` in `stores.sqlite_schema` names the last."""
