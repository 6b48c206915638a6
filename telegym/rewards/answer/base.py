"""What the rewards for answers share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

from telegym.core.errors import TaskError, did_you_mean
from telegym.core.score import Score
from telegym.core.task import Task
from telegym.rewards.answer.extraction import Extraction, FinalAnswer
from telegym.rewards.base import Reward, Run

__all__ = ["AnswerReward", "Marked", "reference_of"]


class Marked(NamedTuple):
    """What an answer is worth."""

    correct: bool
    """Whether it is right."""
    read: bool
    """Whether an answer could be made out at all."""
    reason: str = ""
    """Why not, if it is not right."""

    def score(self) -> Score:
        """Return it as a score with the components `answer` and `answered`."""
        components = {"answer": float(self.correct), "answered": float(self.read)}
        return Score(value=float(self.correct), components=components, reasons=(self.reason,) if self.reason else ())


def reference_of(task: Task, key: str) -> Any:
    """Return what a task says under a key of its data.

    Raises:
        TaskError: If it says nothing there.
    """
    if task.data.get(key) is None:
        hint = did_you_mean(key, task.data)
        raise TaskError(
            f"task {task.id!r} has no {key!r} in its data; it has: {', '.join(task.data) or 'nothing'}.{hint}"
        )
    return task.data[key]


class AnswerReward(Reward):
    """Compares the final answer of a run with what its task says.

    Args:
        sources: Where the answer may stand, in order of preference: tool, tag, boxed, text.
        tools: Tools whose calls give the answer.
        argument: The argument of these tools that holds it.
        tag: Name of the tags around an answer.
        once: Whether the tags have to occur exactly once.
        reference: The key of the task's data with the right answer.
    """

    def __init__(
        self,
        *,
        sources: Sequence[str] = ("tool", "tag", "boxed", "text"),
        tools: Sequence[str] = ("submit_answer",),
        argument: str = "answer",
        tag: str = "answer",
        once: bool = False,
        reference: str = "answer",
    ) -> None:
        self.extraction = Extraction(sources=tuple(sources), tools=tuple(tools), argument=argument, tag=tag, once=once)
        self.reference = reference

    def score(self, runs: Sequence[Run]) -> list[Score]:
        """Return 1 for a right answer, 0 for another or none; a run broken from outside has no value."""
        return [self._score(run) for run in runs]

    def _score(self, run: Run) -> Score:
        failure = run.infrastructure_failure
        if failure is not None:
            return Score(failure=failure)
        answer = self.extraction.of(run)
        if answer.text is None:
            return Marked(False, False, answer.problem).score()
        return self.mark(answer, run.task).score()

    @abstractmethod
    def mark(self, answer: FinalAnswer, task: Task) -> Marked:
        """Return what an answer to a task is worth.

        Raises:
            TaskError: If the task lacks what the answer is compared with.
        """
