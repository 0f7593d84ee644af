"""The page of attempts: its table is that of `upstream.failure_classes`."""

from collections.abc import Iterator, Mapping
from typing import Final

from smart_llmrouter.core.errors import UpstreamRejectedRequest
from smart_llmrouter.engine.retries import PER_S, RESERVE, SHARE, WAIT_MAX_S
from smart_llmrouter.upstream.failure_classes import (
    MEANINGS,
    Meaning,
    Standing,
    Then,
)

THEN: Final[Mapping[Then, str]] = {
    "again": "next target, then the same again",
    "wait": "next target, then the same again if the wait is short",
    "next": "next target",
    "larger": "next target with a larger context",
    "stop": "nobody else",
}
STANDING: Final[Mapping[Standing, str]] = {
    "failure": "`on_failure`",
    "rate-limit": "`on_429`",
    "quota": "`on_quota`",
    "request": "it answers",
    "none": "nothing",
}

PAGE: Final = """\
# Attempts

A call goes from target to target until one really answers, and the caller notices
nothing of it. A status of 200 is no answer yet: an attempt has won when its first
meaningful event has come (content, a call of a tool, or an end), or its whole plain
body. Up to then an error inside of a stream counts as if it had come with a status of
its own. From then on nothing is held back, and an error ends the caller's stream in its
own dialect.

Each answer says in `X-Router-Attempts` how many attempts there were, and so does an
error behind which somebody was called. `X-Router-Target` names who answered,
`X-Router-Error-Class` and `X-Upstream-Status` what went wrong last. Only a stream that
was opened before anybody had answered, to be kept alive, has none of these.

## What a failure means

The class stands in `error_class` of the [usage record](usage-records.md) and of the
error's details. *Follows* is what is tried then, *told* what the caller gets when
nothing is left to try, and *health* by which `backoff` the failure counts against its
[target](health-and-capacity.md).

{table}

Where several targets failed for different reasons, the caller is told
`upstream-failed`; targets that were too small for the request are left out of that.
`upstream-rejected-request` has the status and the words of the provider, because
clients act on them. The words of some twenty providers are known: an empty account is
one also where it comes with 400, 403, 412 or 429, and a quota of the day is not taken
for a rate limit of the minute.

## Trying again

Each target of the plan is tried once. Only when no other one is left, those that failed
in passing are asked again, in the same order and each at most `same_target_retries`
times: where no connection was made, where it ended before an answer began, and after a
status from 500 on. In all these cases nothing was generated, as far as anybody can
tell. A `429` is tried again only where the provider asks for a wait of {wait_max}
seconds or less.

The wait before that is drawn at random from nothing up to a quarter of a second, which
doubles each time up to {wait_max} seconds; a `Retry-After` of that length is honoured,
in seconds or as a date. All of it is bounded:

- `max_attempts` counts all attempts of a call, on all targets together.
- One deadline, `upstream.total_timeout_s`, holds for the whole call. A wait that it
  would cut off is not begun.
- A group may make one retry for {calls} calls, {reserve} more at once, and {per_s} a
  second: under a general outage the router does not make it worse.
- A caller that is asking again itself, and says so in `X-Stainless-Retry-Count` as the
  SDKs do, gets no retries on the same target.

A target that rests, or is called as often as it may be, is passed over. Where that is
so for all, the answer is `503 upstream-capacity-throttled` with an honest
`Retry-After`, and nobody is called.

## Callers that leave

What happens to the provider's work when its caller has left is a setting of each target
in a group:

```yaml
groups:
  chat:
    targets:
      - use: acme/large
        on_disconnect: drain     # or cancel, the default
```

`cancel` lets the provider go at once. The record has the usage that was reported by
then; most providers report it at the end, and charge for what they generated
nevertheless.

`drain` reads the answer on for nobody, so that the true usage is on record. That goes
on for `upstream.drain_s` at most, within the deadline of the call and
`upstream.max_response_bytes`; a target that fails meanwhile is not replaced. When the
router stops, it ends with the grace of all other calls. A router that is killed loses
the records of the calls that are under way, these among them, and doubles none.

Either way there is one record with status 499; its `disconnect` is `drained` where the
answer was read to its end, and `cancelled` where it was not.

*The table is generated from `upstream/failure_classes.py`.*
"""


def attempts_page() -> str:
    """Return the page."""
    return PAGE.format(
        table="\n".join(_table()),
        wait_max=f"{WAIT_MAX_S:g}",
        calls=f"{1 / SHARE:g}",
        reserve=f"{RESERVE:g}",
        per_s=f"{PER_S:g}",
    )


def _table() -> Iterator[str]:
    yield "| class | what happened | follows | told | health |"
    yield "| --- | --- | --- | --- | --- |"
    for name, meaning in MEANINGS.items():
        yield (
            f"| `{name}` | {meaning.what} | {THEN[meaning.then]} | {_told(meaning)} | "
            f"{STANDING[meaning.standing]} |"
        )


def _told(meaning: Meaning) -> str:
    if meaning.error is UpstreamRejectedRequest:
        return f"`{meaning.error.code}`"
    return f"{meaning.error.status} `{meaning.error.code}`"
