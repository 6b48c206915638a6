"""A question with a tool to answer it, and runs in which it is answered."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from telegym.core.environment import Environment
from telegym.core.episode import Episode, Limits
from telegym.core.messages import Message, ToolCall
from telegym.core.score import Score
from telegym.core.task import Task, TaskSet
from telegym.core.tool import Toolkit, tool
from telegym.core.world import World
from telegym.rewards.base import Run


class Desk(World):
    """Holds the answer."""

    def __init__(self) -> None:
        self.answer: Any = None

    def dump(self) -> dict[str, Any]:
        return {"answer": self.answer}

    def snapshot(self) -> Any:
        return self.answer

    def restore(self, snapshot: Any) -> None:
        self.answer = snapshot

    def fork(self) -> Desk:
        copy = Desk()
        copy.answer = self.answer
        return copy


@tool(kind="control")
def submit_answer(
    desk: Desk,
    answer: Annotated[str | float | list[float], "The answer."],
    unit: Annotated[str, "Its unit."] = "",
) -> str:
    """Give the answer."""
    desk.answer = answer
    return "ok"


class Asking(Environment):
    """One question."""

    id: ClassVar[str] = "asking"

    def __init__(self, task: Task) -> None:
        self._tasks = TaskSet([task])

    @property
    def options(self) -> dict[str, Any]:
        return {}

    @property
    def tasks(self) -> TaskSet:
        return self._tasks

    @property
    def limits(self) -> Limits:
        return Limits()

    @property
    def text_ends_episode(self) -> bool:
        return True

    def toolkit(self, task: Task) -> Toolkit:
        return Toolkit([submit_answer])

    def build_world(self, task: Task, seed: int) -> Desk:
        return Desk()

    def instructions(self, task: Task) -> str:
        return "Answer."

    def opening(self, task: Task) -> list[Message]:
        return [Message(role="user", content=task.ticket)]

    def score(self, episode: Episode) -> Score:
        return Score(value=0.0)


def run(reply: str | dict[str, Any], question: str = "How much?", **data: Any) -> Run:
    """Return a run in which a question is answered with text, or with arguments of `submit_answer`."""
    task = Task(id="q", ticket=question, data=data)
    episode = Episode(Asking(task), task)
    if isinstance(reply, str):
        episode.step(Message(role="assistant", content=reply))
    else:
        call = ToolCall(id="call_0", name="submit_answer", arguments=reply)
        episode.step(Message(role="assistant", tool_calls=(call,)))
    return Run.of(episode)
