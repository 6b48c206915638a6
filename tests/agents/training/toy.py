"""A domain of three tools: read which unit is in alarm, reset it, say that it is done."""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar

from telegym.core.environment import Environment
from telegym.core.episode import Episode, Limits
from telegym.core.errors import ToolError
from telegym.core.messages import Message, ToolCall
from telegym.core.score import Failure, Score
from telegym.core.task import Task, TaskSet
from telegym.core.tool import Toolkit, tool
from telegym.core.world import World

WORDS = ("site", "cell", "station", "tower")


class ToyWorld(World):
    def __init__(self, unit: int) -> None:
        self.unit, self.fixed, self.wrong = unit, False, 0

    def dump(self) -> dict[str, Any]:
        return {"unit": self.unit, "fixed": self.fixed, "wrong": self.wrong}

    def snapshot(self) -> tuple[int, bool, int]:
        return (self.unit, self.fixed, self.wrong)

    def restore(self, snapshot: Any) -> None:
        self.unit, self.fixed, self.wrong = snapshot

    def fork(self) -> ToyWorld:
        copy = ToyWorld(0)
        copy.restore(self.snapshot())
        return copy


@tool
def get_alarm(world: ToyWorld) -> str:
    """Read the alarm."""
    return f"alarm on unit {world.unit}"


@tool(kind="write")
def reset_unit(world: ToyWorld, unit: int) -> str:
    """Reset a unit.

    Args:
        unit: The unit.
    """
    if unit != world.unit:
        world.wrong += 1
        raise ToolError(f"unit {unit} is not in alarm")
    world.fixed = True
    return f"unit {unit} ok"


@tool(kind="control")
def done(world: ToyWorld) -> str:
    """Say that the work is done."""
    return "done"


class ToyEnvironment(Environment):
    id: ClassVar[str] = "toy-units"

    def __init__(self, tasks: int = 200, broken: bool = False) -> None:
        self._tasks = TaskSet([Task(id=f"toy-{i}", ticket=f"The {WORDS[i % 4]} {i} is down.") for i in range(tasks)])
        self._broken = broken

    @property
    def options(self) -> dict[str, Any]:
        return {}

    @property
    def tasks(self) -> TaskSet:
        return self._tasks

    @property
    def limits(self) -> Limits:
        return Limits(hops=16, errors=4)

    @property
    def text_ends_episode(self) -> bool:
        return True

    def toolkit(self, task: Task) -> Toolkit:
        return Toolkit([get_alarm, reset_unit, done])

    def build_world(self, task: Task, seed: int) -> World:
        return ToyWorld(Random(f"{task.id}/{seed}").randrange(10, 100))

    def instructions(self, task: Task) -> str:
        return "Reset the unit that is in alarm."

    def opening(self, task: Task) -> list[Message]:
        return [Message(role="user", content=task.ticket)]

    def score(self, episode: Episode) -> Score:
        if self._broken and episode.task.id.endswith("3"):
            return Score(failure=Failure(party="judge", message="no verdict"))
        world = episode.world
        assert isinstance(world, ToyWorld)
        fixed = world.fixed and episode.terminated
        parts = {"fixed": float(fixed), "careful": float(world.wrong == 0)}
        return Score(value=float(fixed and not world.wrong), components=parts)


def demonstrator(quality: float, seed: int = 0) -> Any:
    """Return a player who does it right with the given probability at each step."""

    def call(episode: Episode, name: str, **arguments: Any) -> Message:
        tool_call = ToolCall(id=f"call_{len(episode.calls)}", name=name, arguments=arguments)
        return Message(role="assistant", tool_calls=(tool_call,))

    def act(episode: Episode) -> Message:
        rng = Random(f"{seed}/{episode.task.id}/{episode.turn}")
        good = rng.random() < quality
        world = episode.world
        assert isinstance(world, ToyWorld)
        if episode.turn == 0:
            return call(episode, "get_alarm") if good else call(episode, "reset_unit", unit=rng.randrange(10, 100))
        if world.fixed or (not good and episode.turn > 1) or episode.turn > 3:
            return call(episode, "done")
        return call(episode, "reset_unit", unit=world.unit) if good else call(episode, "get_alarm")

    return act
