"""A small environment for tests: a lamp that can be switched and dimmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from telegym.core.environment import Environment
from telegym.core.episode import EndReason, Episode, Limits
from telegym.core.errors import ToolError
from telegym.core.messages import Message, ToolCall
from telegym.core.score import Score
from telegym.core.task import Task, TaskSet
from telegym.core.tool import Toolkit, tool
from telegym.core.user import User
from telegym.core.world import World


@dataclass(frozen=True, slots=True)
class State:
    on: bool = False
    level: int = 5


class Lamp(World):
    cheap_snapshots: ClassVar[bool] = True

    def __init__(self, state: State) -> None:
        self.state = state

    def dump(self) -> dict[str, Any]:
        return {"on": self.state.on, "level": self.state.level, "minutes": self.minutes}

    def snapshot(self) -> Any:
        return self.state, self.minutes

    def restore(self, snapshot: Any) -> None:
        self.state, self.minutes = snapshot

    def fork(self) -> Self:
        copy = type(self)(self.state)
        copy.minutes = self.minutes
        return copy


@tool
def read_lamp(lamp: Lamp) -> dict[str, Any]:
    """Say whether the lamp is on, and how bright."""
    return {"on": lamp.state.on, "level": lamp.state.level}


@tool(kind="write", minutes=1.5)
def switch_lamp(lamp: Lamp, position: Literal["on", "off"]) -> str:
    """Switch the lamp.

    Args:
        position: Where to put the switch.
    """
    lamp.state = replace(lamp.state, on=position == "on")
    return f"The lamp is {position}. ☀️"


@tool(kind="write")
def dim_lamp(lamp: Lamp, level: Annotated[int, Field(ge=1, le=10)]) -> str:
    """Set the brightness.

    Args:
        level: From 1, dark, to 10, bright.
    """
    if not lamp.state.on:
        raise ToolError("the lamp is off; switch it on first")
    lamp.state = replace(lamp.state, level=level)
    return "ok"


@tool(kind="control")
def done(lamp: Lamp) -> str:
    """End the episode."""
    return "done"


@tool(kind="write", requestor="user")
def unplug_lamp(lamp: Lamp) -> str:
    """Pull the plug."""
    lamp.state = replace(lamp.state, on=False)
    return "ok"


TOOLKIT = Toolkit([read_lamp, switch_lamp, dim_lamp, done, unplug_lamp], "lamp")


class Guest(User):
    """Repeats what it hears."""

    def respond(self, incoming: Sequence[Message]) -> Message:
        return Message(role="user", content=f"I heard: {incoming[-1].content}")

    def fork(self) -> Self:
        return self


class LampRoom(Environment):
    """Make the lamp shine as brightly as the task says."""

    id = "lamp"

    def __init__(self, mode: Literal["solo", "dual"] = "solo", count: int = 8) -> None:
        self._mode = mode
        levels = range(1, count + 1)
        self._tasks = TaskSet([Task(id=f"lamp-{n}", ticket=f"Set it to {n}.", labels={"level": n}) for n in levels])

    @property
    def options(self) -> dict[str, Any]:
        return {"mode": self._mode, "count": len(self._tasks)}

    @property
    def tasks(self) -> TaskSet:
        return self._tasks

    @property
    def limits(self) -> Limits:
        return Limits()

    @property
    def text_ends_episode(self) -> bool:
        return self._mode == "solo"

    def toolkit(self, task: Task) -> Toolkit:
        return TOOLKIT

    def build_world(self, task: Task, seed: int) -> Lamp:
        return Lamp(State(level=1 + seed % 10))

    def instructions(self, task: Task) -> str:
        return "You look after a lamp. Say done when it is as asked."

    def opening(self, task: Task) -> list[Message]:
        return [Message(role="user", content=task.ticket)]

    def user(self, task: Task, seed: int) -> User | None:
        return Guest() if self._mode == "dual" else None

    def score(self, episode: Episode) -> Score:
        lamp = episode.world
        assert isinstance(lamp, Lamp)
        parts = {"on": float(lamp.state.on), "level": float(lamp.state.level == episode.task.labels["level"])}
        reasons = tuple(f"{name} is wrong" for name, value in parts.items() if not value)
        return Score(value=float(episode.end is EndReason.FINISHED and not reasons), components=parts, reasons=reasons)

    def hint(self, episode: Episode) -> Message | None:
        lamp = episode.world
        assert isinstance(lamp, Lamp)
        if not lamp.state.on:
            return _call("switch_lamp", position="on")
        if lamp.state.level != episode.task.labels["level"]:
            return _call("dim_lamp", level=episode.task.labels["level"])
        return _call("done")


def _call(name: str, **arguments: Any) -> Message:
    return Message(role="assistant", tool_calls=(ToolCall(id="hint", name=name, arguments=arguments),))
