"""On which processors the ingester may run: a wish of the environment.

Where the router has a core to itself, its ingester can be kept off it.
"""

import os
import re
from collections.abc import Mapping
from typing import Final

VARIABLE: Final = "SMART_LLMROUTER_INGESTER_CPUS"
_PART: Final = re.compile(r"([0-9]{1,4})(?:-([0-9]{1,4}))?")
_EXPECTED: Final = "numbers of processors are expected, such as `1` or `0,2-3`"


class BadCpus(Exception):
    """The wish cannot be met; the message names the variable and what is expected."""


def ingester_cpus(environment: Mapping[str, str]) -> frozenset[int]:
    """Return the processors that the ingester is wanted on; none where none are said.

    Raise `BadCpus` where the text says none, or some that this process cannot have.
    """
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return frozenset()
    cpus = parse_cpus(text)
    if not hasattr(os, "sched_setaffinity"):
        raise BadCpus(
            f"{VARIABLE} is set, but this system cannot keep a process on some of its "
            "processors; unset it"
        )
    usable = _usable(cpus)
    if usable != cpus:
        missing = ", ".join(map(str, sorted(cpus - usable)))
        raise BadCpus(
            f"{VARIABLE}={text}: there is no processor {missing} that this process "
            f"may use; {_EXPECTED}"
        )
    return cpus


def parse_cpus(text: str) -> frozenset[int]:
    """Return the numbers in a list of numbers and ranges; `BadCpus` for other texts."""
    cpus: set[int] = set()
    for part in text.split(","):
        found = _PART.fullmatch(part.strip())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if first > last:
            raise BadCpus(f"{VARIABLE}={text[:40]!r}: {_EXPECTED}")
        cpus.update(range(first, last + 1))
    return frozenset(cpus)


def _usable(cpus: frozenset[int]) -> frozenset[int]:
    """Ask the system by trying for a moment: it alone knows what a container allows."""
    own = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cpus)
        return frozenset(os.sched_getaffinity(0))
    except OSError:
        return frozenset()
    finally:
        os.sched_setaffinity(0, own)
