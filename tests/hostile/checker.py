"""What must hold whatever an agent writes: nothing raises, all is answered, no invalid call changes the state."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from telegym.core.environment import Environment
from telegym.core.episode import CallRecord, Episode, Limits
from telegym.core.messages import Message
from telegym.core.replay import replay
from telegym.core.task import Task
from telegym.core.tool import CallError
from telegym.core.trajectory import Trajectory

NO_LIMITS = Limits(hops=None, errors=None)
INVALID = frozenset(CallError) - {CallError.REFUSED, CallError.INTERNAL}


class Entry(NamedTuple):
    """One text of the corpus."""

    kind: str
    verdict: str
    text: str


@cache
def corpus() -> tuple[Entry, ...]:
    """Return the broken outputs collected in `corpus.yaml`."""
    groups = yaml.safe_load(Path(__file__).with_name("corpus.yaml").read_text(encoding="utf-8"))
    return tuple(Entry(group["kind"], group["verdict"], _expand(text)) for group in groups for text in group["texts"])


def _expand(text: str) -> str:
    return re.sub(r"@@(\d+):(.*?)@@", lambda match: int(match[1]) * match[2], text, flags=re.DOTALL)


@dataclass
class Checker:
    """Plays actions one after the other, in as many episodes as it takes, and checks each."""

    environment: Environment
    tasks: Sequence[Task]
    limits: Limits = NO_LIMITS
    actions: int = 0
    invalid: int = 0
    refused: int = 0
    episodes: int = 0
    replays: int = 0
    episode: Episode = field(init=False)

    def __post_init__(self) -> None:
        self.fresh()

    def fresh(self) -> None:
        """Begin the next episode."""
        task = self.tasks[self.episodes % len(self.tasks)]
        self.episodes += 1
        self.episode = Episode(self.environment, task, seed=self.episodes, limits=self.limits)

    def play(self, actions: Iterable[str | Message]) -> None:
        """Play actions; whenever an episode ends, the next one begins."""
        for action in actions:
            if self.episode.done:
                self.fresh()
            self.check(action)

    def check(self, action: str | Message) -> list[CallRecord]:
        """Play one action and return the records of the agent's calls."""
        episode = self.episode
        said, called, turn = len(episode.messages), len(episode.calls), episode.turn
        before = episode.world.mark()
        new = episode.step(action)
        own = episode.messages[said]
        assert own.role == "assistant"
        if isinstance(action, Message):
            assert len(own.tool_calls) == len(action.tool_calls)
        records = [record for record in episode.calls[called:] if record.call.requestor == "assistant"]
        _check_answers(own, new, records, episode)
        self._check_states(records)
        if own.tool_calls and all(record.error in INVALID for record in records):
            assert _same(before, episode.world.mark()), "a message without a valid call changed the state"
        assert episode.turn == turn + 1
        self.actions += 1
        return records

    def _check_states(self, records: Iterable[CallRecord]) -> None:
        for record in records:
            if record.error is None:
                continue
            assert record.error is not CallError.INTERNAL, record.content
            self.invalid += record.error in INVALID
            self.refused += record.error is CallError.REFUSED
            if record.error in INVALID or record.minutes == 0:
                assert _same(record.before, record.after), f"refused, but the state has changed: {record.call}"

    def check_trajectory(self) -> None:
        """Write the episode as a line of JSON, read it and replay it: byte for byte the same."""
        trajectory = self.episode.trajectory("hostile")
        line = trajectory.to_json()
        line.encode("utf-8")
        again = Trajectory.from_json(line)
        assert again.to_json() == line
        differences = replay(again, self.environment)
        assert not differences, differences[:3]
        self.replays += 1


def _check_answers(own: Message, new: Sequence[Message], records: Sequence[CallRecord], episode: Episode) -> None:
    """Every call has one answer, in order; a message without calls is answered by the user or ends the episode."""
    answers = [message for message in new if message.role == "tool"]
    assert all(message.content for message in answers)
    if own.tool_calls:
        assert [answer.tool_call_id for answer in answers] == [call.id for call in own.tool_calls]
        assert [record.call.name for record in records] == [call.name for call in own.tool_calls]
        assert [record.error is not None for record in records] == [answer.error for answer in answers]
    else:
        assert new or episode.done


def _same(before: Any, after: Any) -> bool:
    return before is after or before.hash() == after.hash()


def walk(value: Any) -> Iterator[Any]:
    """Yield a JSON value and everything in it."""
    yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(item)
