"""The toy domain with tools that keep one waiting."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, ClassVar

from telegym.core.episode import Episode
from telegym.core.task import Task
from telegym.core.tool import Tool, Toolkit, tool

from .toy import ToyEnvironment, ToyWorld, done, reset_unit


class Meeting:
    """Counts calls that are under way, and keeps the first ones until as many have come as expected.

    Args:
        expected: How many calls have to meet; 1 keeps none.
        patience: Seconds after which those that came give up waiting for the others.
    """

    def __init__(self, expected: int = 1, patience: float = 30.0) -> None:
        self.most = self._inside = 0
        self._expected = expected
        self._patience = patience
        self._lock = threading.Lock()
        self._met = threading.Event()

    def attend(self) -> None:
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
            if self._inside >= self._expected:
                self._met.set()
        self._met.wait(self._patience)
        with self._lock:
            self._inside -= 1


class WaitingEnvironment(ToyEnvironment):
    """Its tool `get_alarm` attends a meeting."""

    id: ClassVar[str] = "toy-waiting"

    def __init__(self, meeting: Meeting, tasks: int = 200, asynchronous: bool = False) -> None:
        super().__init__(tasks)
        self.meeting = meeting
        self._alarm = self._asynchronous() if asynchronous else self._synchronous()

    @property
    def waits(self) -> bool:
        return True

    def toolkit(self, task: Task) -> Toolkit:
        return Toolkit([self._alarm, reset_unit, done])

    def _synchronous(self) -> Tool:
        @tool
        def get_alarm(world: ToyWorld) -> str:
            """Read the alarm."""
            self.meeting.attend()
            return f"alarm on unit {world.unit}"

        return get_alarm

    def _asynchronous(self) -> Tool:
        @tool
        async def get_alarm(world: ToyWorld) -> str:
            """Read the alarm."""
            await asyncio.to_thread(self.meeting.attend)
            return f"alarm on unit {world.unit}"

        return get_alarm


def answers(episode: Episode) -> list[Any]:
    """Return what the tools of an episode said."""
    return [(call.call.name, call.content, call.error) for call in episode.calls]
