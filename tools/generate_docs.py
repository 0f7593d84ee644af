"""Write the pages of the documentation that are derived from the code.

`python -m tools.generate_docs` writes them into `docs/`; they are committed, so that
the documentation can be built without importing the package. A test compares them.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from smart_llmrouter.config.reference import configuration_page
from smart_llmrouter.core import errors
from tools.attempts_page import attempts_page
from tools.command_pages import commands_page
from tools.diagnostics_schema_page import diagnostics_schema_page
from tools.metrics_page import metrics_page
from tools.reports_page import reports_page
from tools.routing_features_page import routing_features_page
from tools.translation_page import translation_page
from tools.troubleshooting_page import troubleshooting_page
from tools.usage_records_page import usage_records_page

DOCS = Path(__file__).resolve().parent.parent / "docs"

# What the status of the tree cannot say: here the provider decides.
STATUS_OF_PROVIDER: Final = "upstream-rejected-request"

SDK_CLASSES: Final[Mapping[int, str]] = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}

ERRORS_HEAD: Final = """\
# Errors

Every refusal and every failure has a stable code. It stands in the error body, in the
usage record and in the metrics; the message beside it is for people and may change.

```json
{
  "error": {
    "message": "this token may not use the requested model; ...",
    "type": "permission_error",
    "code": "model-not-allowed",
    "param": null,
    "request_id": "req_0123456789abcdef0123456789abcdef",
    "details": {}
  }
}
```

The Responses API has the same shape. Messages has Anthropic's, with the stable code in
`details`, and its own name of the type (`invalid_request_error`, `overloaded_error`):

```json
{
  "type": "error",
  "error": {
    "type": "permission_error",
    "message": "this token may not use the requested model; ...",
    "details": {"error_code": "model-not-allowed"}
  },
  "request_id": "req_0123456789abcdef0123456789abcdef"
}
```

Statuses are the same on all surfaces. The request id is also in the header
`X-Request-Id` of every answer, and on Messages in `request-id`, where Anthropic's SDKs
look for it. Where asking again can never help, the answer says `x-should-retry: false`,
which the SDKs and Claude Code obey. `Retry-After` is sent where a wait is known and
short. A limit that does not pass within a minute says `x-should-retry: false`, too, and
when it resets. A lifetime budget that calls in flight may leave enough of is a 403 with
`Retry-After` and `x-should-retry: true`.

An error after the first token comes inside the stream, as its last event; the status of
that answer was 200 by then. So does an error of a stream that was opened before its
first token, after `server.keepalive_after_s` of silence. It is a data object in Chat,
an `error` event in Messages, and `response.failed` in Responses.

A provider may also answer 200 and report an error, as the first event of a stream or in
the place of a plain answer. That counts as if it had come with a status of its own. A
context that is too long is told in the caller's way, however the provider says so: to
Claude Code as `prompt is too long: N tokens > M maximum`, to OpenAI's clients by the
code `context_length_exceeded`.

Codex CLI looks at no such header: it asks six times after most statuses, and thirty
times after a 5xx. So where it calls `/v1/responses` (its `originator` header begins
with `codex`), what can never pass is answered with status 200 and a `response.failed`
at which it stops. A wrong token and a model that is not allowed stay 401 and 403. The
usage record has the true status and code in any case.

*Generated from `core/errors/`.*
"""


def leaves(tree: type[errors.RouterError]) -> Iterator[type[errors.RouterError]]:
    """Yield the errors that are really raised: those with nothing below them."""
    below = tree.__subclasses__()
    if not below:
        yield tree
    for each in below:
        yield from leaves(each)


def errors_page() -> str:
    """Return the page of all error codes, branch by branch."""
    parts = [ERRORS_HEAD]
    drawn = inspect.getdoc(errors) or ""
    branches = errors.RouterError.__subclasses__()
    # In the order of the tree that its package draws, whatever was imported first.
    for branch in sorted(branches, key=lambda branch: drawn.index(branch.__name__)):
        parts.append(f"## {meaning(branch)}\n")
        parts.append("| code | status | OpenAI SDK raises | retry | what it means |")
        parts.append("| --- | --- | --- | --- | --- |")
        parts.extend(error_row(leaf) for leaf in leaves(branch))
        parts.append("")
    return "\n".join(parts)


def error_row(leaf: type[errors.RouterError]) -> str:
    """Return the table row of one error."""
    status = str(leaf.status)
    raised = SDK_CLASSES.get(leaf.status, "APIStatusError")
    if leaf.status >= 500:
        raised = "InternalServerError"
    if leaf.code == STATUS_OF_PROVIDER:
        status, raised = "the provider's", "the status's own"
    retry = "never helps" if leaf.permanent else "may help"
    text = inspect.cleandoc(leaf.__doc__ or "").replace("\n\n", " ").replace("\n", " ")
    return f"| `{leaf.code}` | {status} | `{raised}` | {retry} | {text} |"


def meaning(error: type[errors.RouterError]) -> str:
    """Return the first sentence of an error's docstring as a heading."""
    return inspect.cleandoc(error.__doc__ or "").split("\n")[0].rstrip(".")


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "attempts.md": attempts_page,
    "commands.md": commands_page,
    "configuration.md": configuration_page,
    "diagnostics-schema.md": diagnostics_schema_page,
    "errors.md": errors_page,
    "metrics.md": metrics_page,
    "reports.md": reports_page,
    "routing-features.md": routing_features_page,
    "translation.md": translation_page,
    "troubleshooting.md": troubleshooting_page,
    "usage-records.md": usage_records_page,
}


if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}")
