"""Elimination: which changes were needed, found by playing the rest of an episode again without one of them.

Leaving out one call at a time would mark two calls that do the same thing both as unnecessary, for each makes up for
the other. So calls are eliminated backward: from the last to the first, a call whose loss costs nothing stays out for
all trials to come. What remains is a minimal set that still does the work; of duplicates the first is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from telegym.core.episode import Episode
from telegym.core.world import World

__all__ = ["MOST_FORKS", "Elimination", "eliminate", "replay_without"]

MOST_FORKS = 64
"""How many trials are made at most for one episode."""


class Elimination(NamedTuple):
    """What was found out."""

    needed: frozenset[int]
    """Calls that cannot be left out."""
    idle: frozenset[int]
    """Calls that can be left out together at no cost."""
    untried: frozenset[int]
    """Calls not tried, for the limit was reached."""
    forks: int
    """Trials made."""


def eliminate(
    candidates: Sequence[int],
    suffices: Callable[[frozenset[int]], bool],
    most_forks: int = MOST_FORKS,
) -> Elimination:
    """Find a minimal set of calls that still does what all of them did.

    Args:
        candidates: Indices of the calls that may be left out, in ascending order.
        suffices: Whether goal and constraints hold as well as before without these calls.
        most_forks: How many trials are allowed.
    """
    idle: set[int] = set()
    needed: set[int] = set()
    forks = 0
    for index in reversed(candidates):
        if forks >= most_forks:
            break
        forks += 1
        if suffices(frozenset(idle | {index})):
            idle.add(index)
        else:
            needed.add(index)
    untried = frozenset(candidates) - idle - needed
    return Elimination(frozenset(needed), frozenset(idle), untried, forks)


def replay_without(episode: Episode, dropped: frozenset[int], *, reads: bool = False) -> World:
    """Return the world in which an episode would have ended without some of its calls.

    The calls are executed as they were made; one that had failed for its form is skipped, one that now fails changes
    nothing.

    Args:
        episode: The episode; it is not changed.
        dropped: Indices of the calls to leave out.
        reads: Whether to execute reading calls too: needed where they take simulated time.
    """
    world = episode.environment.build_world(episode.task, episode.seed)
    for record in episode.calls:
        tool = episode.toolkit.get(record.call.name)
        if record.index in dropped or tool is None or (tool.kind != "write" and not reads):
            continue
        outcome = episode.toolkit.execute(world, record.call)
        if outcome.minutes and not world.keeps_time:
            world.minutes += outcome.minutes
    return world
