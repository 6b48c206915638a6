"""The calls of an episode as auditors go through them: whose they are, and which of them changed the world."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from telegym.core.episode import CallRecord, Episode
from telegym.core.world import StateMark

__all__ = ["agent_calls", "changed", "state_versions"]


def agent_calls(episode: Episode) -> list[CallRecord]:
    """Return the calls of the agent, in order: not those a simulated user made."""
    return [record for record in episode.calls if record.call.requestor == "assistant"]


def changed(record: CallRecord) -> bool | None:
    """Return whether a call changed the state, or None if the episode kept no states."""
    if record.before is None or record.after is None:
        return None
    return not _same(record.before, record.after)


def _same(one: StateMark, other: StateMark) -> bool:
    return one is other or one == other or one.hash() == other.hash()


def state_versions(calls: Sequence[CallRecord], kinds: Sequence[str | None]) -> list[int]:
    """Number the states between calls: two calls met the same state if they have the same number.

    Only calls that can change something are looked at, so that no state of a reading call has to be compared.

    Args:
        calls: Calls of both sides, in order.
        kinds: `read`, `write` or `control` of each call's tool; None for a tool that does not exist.

    Returns:
        For each call the number of the state it met, from 0.
    """
    return list(_versions(calls, kinds))


def _versions(calls: Sequence[CallRecord], kinds: Sequence[str | None]) -> Iterator[int]:
    version = 0
    for record, kind in zip(calls, kinds, strict=True):
        yield version
        if kind == "write" and record.error is None and changed(record) is not False:
            version += 1
