"""The smallest environment that has everything: counters to be brought to a value, alone or on a user's word."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from telegym.core.environment import Environment
from telegym.core.episode import EndReason, Episode, Limits
from telegym.core.errors import ToolError
from telegym.core.messages import Message, ToolCall
from telegym.core.score import Score
from telegym.core.task import Assertion, Task, TaskSet
from telegym.core.tool import Tool, Toolkit, tool
from telegym.core.user import STOP, User
from telegym.core.world import World

COUNTERS = ("C001", "C002", "C003")


class CounterWorld(World):
    """Three counters, by id."""

    cheap_snapshots: ClassVar[bool] = True

    def __init__(self, values: dict[str, int]) -> None:
        self.values = values

    def dump(self) -> dict[str, Any]:
        return {"values": dict(self.values), "minutes": self.minutes}

    def snapshot(self) -> Any:
        return tuple(self.values.items()), self.minutes

    def restore(self, snapshot: Any) -> None:
        self.values, self.minutes = dict(snapshot[0]), snapshot[1]

    def fork(self) -> Self:
        copy = type(self)(dict(self.values))
        copy.minutes = self.minutes
        return copy


@tool(minutes=1)
def read_counter(world: CounterWorld, counter_id: str) -> dict[str, Any]:
    """Read a counter.

    Args:
        counter_id: Id of the counter, for example "C001".
    """
    _check(world, counter_id)
    return {"counter_id": counter_id, "value": world.values[counter_id]}


@tool(kind="write", minutes=2)
def change_counter(
    world: CounterWorld,
    counter_id: str,
    amount: Annotated[int, Field(ge=1, le=10)],
    direction: Literal["up", "down"] = "up",
) -> str:
    """Change a counter.

    Args:
        counter_id: Id of the counter, for example "C001".
        amount: By how much.
        direction: Whether the counter rises or falls.
    """
    _check(world, counter_id)
    world.values[counter_id] += amount if direction == "up" else -amount
    return f"{counter_id} is now {world.values[counter_id]}"


@tool(kind="control")
def done(world: CounterWorld) -> str:
    """End the work."""
    return "Done"


def _check(world: CounterWorld, counter_id: str) -> None:
    if counter_id not in world.values:
        raise ToolError(f"no counter {counter_id!r}; there are {', '.join(world.values)}")


TOOLS: tuple[Tool, ...] = (read_counter, change_counter, done)


class ToyUser(User):
    """Says the request, answers every question with it, and stops when told that all is done."""

    def __init__(self, request: str) -> None:
        self._request = request

    def respond(self, incoming: Sequence[Message]) -> Message:
        told = incoming[-1].content or "" if incoming else ""
        return Message(role="user", content=STOP if "all done" in told else self._request)

    def fork(self) -> Self:
        return type(self)(self._request)


def counter_task(number: int) -> Task:
    """Return one task; `near` tasks need one change, `far` ones two."""
    rng = Random(f"toy/{number}")
    counter, far = rng.choice(COUNTERS), number % 2 == 1
    target = rng.randint(11, 20) if far else rng.randint(1, 10)
    return Task(
        id=f"toy-{number}",
        ticket=f"Bring counter {counter} to {target}.",
        assertions=(Assertion(target="world", name="equals", arguments={"counter_id": counter, "value": target}),),
        labels={"family": "far" if far else "near"},
    )


class Toy(Environment):
    """The environment; with `talkative`, a user says what the ticket would."""

    id: ClassVar[str] = "toy"

    def __init__(self, size: int = 12, talkative: bool = False, limits: Limits | None = None) -> None:
        self._size, self._talkative, self._limits = size, talkative, limits or Limits(turns=12)
        self._tasks = TaskSet([counter_task(number) for number in range(size)])

    @property
    def options(self) -> dict[str, Any]:
        return {"size": self._size, "talkative": self._talkative}

    @property
    def tasks(self) -> TaskSet:
        return self._tasks

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def text_ends_episode(self) -> bool:
        return not self._talkative

    def toolkit(self, task: Task) -> Toolkit:
        return Toolkit(TOOLS, "toy")

    def build_world(self, task: Task, seed: int) -> World:
        return CounterWorld(dict.fromkeys(COUNTERS, 0))

    def instructions(self, task: Task) -> str:
        return "Bring the counter to the value asked for, leave the others alone, then call done."

    def opening(self, task: Task) -> list[Message]:
        if self._talkative:
            return [Message(role="assistant", content="Hello, what can I do?")]
        return [Message(role="user", content=task.ticket)]

    def user(self, task: Task, seed: int) -> User | None:
        return ToyUser(task.ticket) if self._talkative else None

    def score(self, episode: Episode) -> Score:
        counter, target = _goal(episode.task)
        values = _values(episode)
        reached = values[counter] == target
        alone = all(value == 0 for name, value in values.items() if name != counter)
        ended = episode.end in (EndReason.FINISHED, EndReason.USER_STOP)
        reasons = [
            text
            for good, text in (
                (reached, "the counter has another value than asked for"),
                (alone, "another counter was changed"),
                (ended, "the work was not ended"),
            )
            if not good
        ]
        components = {"reached": float(reached), "collateral": float(alone)}
        return Score(value=float(not reasons), components=components, reasons=tuple(reasons))

    def hint(self, episode: Episode) -> Message | None:
        counter, target = _goal(episode.task)
        missing = target - _values(episode)[counter]
        if missing == 0:
            return self._ending()
        change = {"counter_id": counter, "amount": min(10, abs(missing)), "direction": "up" if missing > 0 else "down"}
        return _call("change_counter", change, len(episode.calls))

    def _ending(self) -> Message:
        if self._talkative:
            return Message(role="assistant", content="It is all done.")
        return _call("done", {}, 0)


def _call(name: str, arguments: dict[str, Any], number: int) -> Message:
    return Message(role="assistant", tool_calls=(ToolCall(id=f"call_{number}", name=name, arguments=arguments),))


def _goal(task: Task) -> tuple[str, int]:
    arguments = task.assertions[0].arguments
    return arguments["counter_id"], arguments["value"]


def _values(episode: Episode) -> dict[str, int]:
    assert isinstance(episode.world, CounterWorld)
    return episode.world.values
