"""Recovery: what follows an error, and which calls say again what was said.

After an error the next call has to be another one, and it has to deal with the error: after an unknown tool an existing
one, after arguments that did not fit some that do. A read repeated while nothing had changed tells nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from telegym.core.episode import CallRecord
from telegym.core.messages import ToolCall
from telegym.core.tool import CallError

__all__ = ["identical", "recoveries", "repeats", "signature"]

_FORMAL = frozenset(
    {
        CallError.MALFORMED,
        CallError.UNKNOWN_TOOL,
        CallError.WRONG_SIDE,
        CallError.INVALID_ARGUMENTS,
        CallError.TOO_LARGE,
    }
)


def signature(call: ToolCall) -> str:
    """Return name and arguments as one text, whatever the order of the arguments."""
    if not call.arguments:
        return call.name if call.parse_error is None else f"{call.name}?{call.raw}"
    return f"{call.name}{json.dumps(call.arguments, sort_keys=True)}"


def identical(one: ToolCall, other: ToolCall) -> bool:
    """Return whether two calls ask for the same thing."""
    return one.name == other.name and signature(one) == signature(other)


def recoveries(calls: Sequence[CallRecord]) -> list[float | None]:
    """Return for each call whether it deals with the error before it.

    Args:
        calls: The agent's calls, in order.

    Returns:
        1 for a call that follows an error and is another, well-formed one where the error was of form; 0 for the same
        call again, or another error of the same class of form; None where nothing had failed.
    """
    found: list[float | None] = [None] * len(calls)
    for place in range(1, len(calls)):
        before, now = calls[place - 1], calls[place]
        if before.error is None or before.error is CallError.DROPPED:
            continue
        again = identical(before.call, now.call) or (before.error in _FORMAL and now.error is before.error)
        found[place] = float(not (again and now.error is not None))
    return found


def repeats(calls: Sequence[CallRecord], versions: Sequence[int]) -> list[int | None]:
    """Return for each call the earlier one that it repeats although nothing had changed between them.

    Args:
        calls: Calls, in order.
        versions: For each the number of the state it met, see `calls.state_versions`.

    Returns:
        For each call the position of the earlier, equal, successful call at the same state; None if there is none.
    """
    seen: dict[tuple[str, int, str], int] = {}
    found: list[int | None] = []
    for place, (record, version) in enumerate(zip(calls, versions, strict=True)):
        key = (signature(record.call), version, record.call.requestor)
        found.append(seen.get(key))
        if record.error is None:
            seen.setdefault(key, place)
    return found
