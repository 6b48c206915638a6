"""Rewards and runs for tests of rewards: what they say is written down beforehand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from telegym.core.episode import Episode
from telegym.core.score import Failure, Score
from telegym.rewards.base import Judgement, Reward, Run
from tests.toy import Toy

TOY = Toy()


def toy_run(task: int = 0, turns: int = 9, group: str | None = None, wrong: bool = False) -> Run:
    """Return a run of the oracle on a toy task; it is stopped after some turns, or begins with a mistake."""
    episode = Episode(TOY, TOY.tasks[task])
    if wrong:
        episode.step('<tool_call>\n{"name": "read_countr", "arguments": {}}\n</tool_call>')
    for _ in range(turns):
        message = None if episode.done else TOY.hint(episode)
        if message is None:
            break
        episode.step(message)
    return Run.of(episode, group)


class Plain(Run):
    """A run that only has a group and marks of its own."""

    def __init__(self, group: str, **marks: Any) -> None:
        super().__init__(episode=_EPISODE, group=group)
        self.marks = marks


_EPISODE = Episode(TOY, TOY.tasks[0])


class Marked(Reward):
    """Says of `Plain` runs what is marked on them: a value, None for a failure, or a whole score."""

    def __init__(self, name: str, **attributes: bool) -> None:
        self.name = name
        self.asked: list[list[Run]] = []
        self.threads: set[str] = set()
        for attribute, value in attributes.items():
            setattr(self, attribute, value)

    def score(self, runs: Sequence[Run]) -> list[Score]:
        self.asked.append(list(runs))
        self.threads.add(threading.current_thread().name)
        return [self._of(run) for run in runs]

    def _of(self, run: Run) -> Score:
        assert isinstance(run, Plain)
        mark = run.marks[self.name]
        if isinstance(mark, Score):
            return mark
        if mark is None:
            return Score(failure=Failure(party="judge", message="no verdict"))
        return Score(value=float(mark))


class Calling(Reward):
    """Asks a function about each run."""

    def __init__(self, function: Callable[[Run], Score], name: str = "calling") -> None:
        self.name = name
        self.function = function
        self.asked = 0

    def score(self, runs: Sequence[Run]) -> list[Score]:
        self.asked += len(runs)
        return [self.function(run) for run in runs]


def unsafe(value: float) -> Judgement:
    """Return a judgement that says that somebody was put at risk."""
    return Judgement(value=value, counters={"unsafe": 1.0})
