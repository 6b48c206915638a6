"""A step's rollouts, played in rounds: groups that say nothing are replaced, up to a limit.

Groups are counted over all processes. A group may be cut between two processes, so what its rollouts are worth is
gathered, every process comes to the same verdicts from the same state, and all take part in every round, even one that
has nothing to play in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from telegym.agents.training.curriculum import Slot, TaskSource
from telegym.agents.training.ranks import process_count
from telegym.agents.training.rollouts import Transcript
from telegym.agents.training.selection import GroupOutcome, Selection
from telegym.core.score import Score

__all__ = ["Played", "Rounds", "Rows", "Step"]


@dataclass(slots=True)
class Rows:
    """Rows of a batch that are played together."""

    inputs: list[dict[str, Any]]
    """The rows, with `task` and `seed`."""
    numbers: list[int]
    """The number of each among the rows of all processes."""
    round: int = 0
    """Number of the round, from 0."""


@dataclass(slots=True)
class Played:
    """A rollout and what it is worth."""

    number: int
    """The number of its row among the rows of all processes."""
    transcript: Transcript
    """The rollout."""
    score: Score
    """The environment's own score."""
    judged: Score | None
    """What the rewards made of it, where there are any."""
    value: float | None
    """The reward; None where the infrastructure or a judge failed."""


@dataclass(slots=True)
class Step:
    """What a step is learnt from."""

    rows: list[Played]
    """One rollout for each row of this process, in order."""
    dropped: list[bool]
    """Whether the group of each row is left out."""
    everything: list[Played]
    """All rollouts of this process, those of replaced groups included."""
    figures: dict[str, float] = field(default_factory=dict)
    """What is worth logging; the same in all processes."""


@dataclass(slots=True)
class _Group:
    slot: Slot
    outcome: GroupOutcome
    kept: bool


class Rounds:
    """Plays the rollouts of a step.

    Args:
        source: Gives the tasks; None leaves those of the rows.
        selection: Decides which groups are learnt from; None keeps all.
    """

    def __init__(self, source: TaskSource | None = None, selection: Selection | None = None) -> None:
        self.source = source
        self.selection = selection

    def play(
        self, rows: Rows, group_size: int, count: int, play: Callable[[Rows], list[Played]], select: bool = True
    ) -> Step:
        """Play all rows, and groups of other tasks in the place of groups that say nothing.

        Args:
            rows: The rows of this process.
            group_size: Rollouts in a group.
            count: Groups of all processes.
            play: Plays rows of this process; called in every process in every round.
            select: Whether tasks are chosen and groups are left out, as in training.
        """
        if not select or (self.source is None and self.selection is None):
            played = play(rows)
            return Step(played, [False] * len(played), played)
        return self._rounds(rows, group_size, count, play)

    def _rounds(self, rows: Rows, size: int, count: int, play: Callable[[Rows], list[Played]]) -> Step:
        latest: dict[int, Played] = {}
        groups: dict[int, _Group] = {}
        everything: list[Played] = []
        history: list[_Group] = []
        due, number = list(range(count)), 0
        while due:
            part = self._part(rows, size, due, number)
            played = play(part)
            latest |= {each.number: each for each in played}
            everything += played
            found = self._groups(part, played, size, due)
            groups |= found
            history += found.values()
            number += 1
            rounds = self.selection.rounds if self.selection is not None and self.source is not None else 1
            due = [slot for slot in due if not groups[slot].kept] if number < rounds else []
        self._learn(history)
        return Step(
            [latest[each] for each in rows.numbers],
            [not groups[each // size].kept for each in rows.numbers],
            everything,
            self._figures(history, groups, number),
        )

    def _part(self, rows: Rows, size: int, due: Sequence[int], number: int) -> Rows:
        """Return the rows of this process in the groups that are due, with their tasks."""
        chosen = [place for place, each in enumerate(rows.numbers) if each // size in due]
        inputs, numbers = [dict(rows.inputs[place]) for place in chosen], [rows.numbers[place] for place in chosen]
        if self.source is not None:
            slots = dict(zip(due, self.source.draw(len(due)), strict=True))
            for row, each in zip(inputs, numbers, strict=True):
                row["task"], row["seed"] = slots[each // size]
        return Rows(inputs, numbers, number)

    def _groups(self, part: Rows, played: Sequence[Played], size: int, due: Sequence[int]) -> dict[int, _Group]:
        """Return the groups that were just played, the same in all processes."""
        own = [
            (
                each.number,
                row["task"],
                row["seed"],
                each.value,
                each.score.success if each.score.value is not None else None,
            )
            for each, row in zip(played, part.inputs, strict=True)
        ]
        everyone = sorted(_gathered(own))
        found = {}
        for slot in due:
            members = [each for each in everyone if each[0] // size == slot]
            outcome = GroupOutcome(tuple(each[3] for each in members), tuple(each[4] for each in members))
            kept = self.selection is None or self.selection.keeps(outcome)
            found[slot] = _Group(Slot(members[0][1], members[0][2]), outcome, kept)
        return found

    def _learn(self, history: Sequence[_Group]) -> None:
        if self.selection is not None:
            self.selection.learn([group.outcome for group in history])
        for group in history if self.source is not None else ():
            assert self.source is not None
            self.source.record(group.slot.task, *group.outcome.successes)

    def _figures(self, history: Sequence[_Group], groups: dict[int, _Group], rounds: int) -> dict[str, float]:
        figures = self.source.figures() if self.source is not None else {}
        if self.selection is not None:
            figures |= {
                "selection/rounds": float(rounds),
                "selection/dropped": sum(not group.kept for group in history) / len(history),
                "selection/groups": float(sum(group.kept for group in groups.values())),
                **self.selection.figures(),
            }
        return figures


def _gathered(own: list[Any]) -> list[Any]:
    """Return the items of all processes."""
    if process_count() == 1:
        return own
    from accelerate.utils import gather_object

    found: list[Any] = gather_object(own)
    return found
