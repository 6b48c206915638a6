"""What sets of questions share: one question, perhaps tools, one answer."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from telegym.core.environment import Environment
from telegym.core.messages import Message, ToolCall
from telegym.core.score import Score
from telegym.core.task import Task, TaskSet
from telegym.core.tool import Toolkit
from telegym.core.user import User
from telegym.envs.questions.desk import Desk, Examiner, Form, Tools, phrases, toolkit
from telegym.rewards.answer.base import Marked
from telegym.rewards.answer.extraction import Extraction, FinalAnswer
from telegym.rewards.base import Run

if TYPE_CHECKING:
    from telegym.core.episode import Episode, Limits

__all__ = ["Questions"]

SUBMIT = "submit_answer"


class Questions(Environment):
    """A set of questions, one an episode.

    Where the agent has `submit_answer`, only what it submits counts, and words without a call end the episode as a
    mistake; where it has not, its first words without a call are the answer.

    Args:
        form: What an answer is.
        tools: none, calculator, submit, or all.
        language: Language of the instructions and the tools, en or zh.
        texts: Name of the file with the instructions.

    Raises:
        ConfigurationError: If an option has no valid value.
    """

    def __init__(self, form: Form, tools: Tools, language: str, texts: str) -> None:
        self.form: Form = form
        self.tools: Tools = tools
        self.language = language
        self._toolkit = toolkit(form, tools, language)
        self._texts = phrases(texts, language)
        self.submits = SUBMIT in self._toolkit
        """Whether an answer has to be submitted by a tool."""
        self.extraction = Extraction(sources=("tool",) if self.submits else ("tag", "boxed", "text"), tools=(SUBMIT,))
        """Where the answer is looked for."""

    @property
    @abstractmethod
    def tasks(self) -> TaskSet:
        """The tasks that can be played."""

    @property
    def limits(self) -> Limits:
        """Twenty turns, and ten failed calls."""
        from telegym.core.episode import Limits

        return Limits(hops=None, errors=10, turns=20)

    @property
    def text_ends_episode(self) -> bool:
        """Whether words are a mistake, because the answer has to be submitted."""
        return self.submits

    def toolkit(self, task: Task) -> Toolkit:
        """Return the tools; all tasks have the same."""
        return self._toolkit

    def build_world(self, task: Task, seed: int) -> Desk:
        """Return an empty desk."""
        return Desk()

    def instructions(self, task: Task) -> str:
        """Return what to do, and how to answer."""
        texts = self._texts
        parts = [texts["role"], texts.get(self.form, "")]
        parts += [texts["calculator"]] if "calculator" in self._toolkit else []
        ending = texts["submit" if self.submits else "text"]
        parts.append(ending[self.form] if isinstance(ending, dict) else ending)
        return ("" if self.language == "zh" else " ").join(part for part in parts if part)

    def opening(self, task: Task) -> list[Message]:
        """Return the question."""
        return [Message(role="user", content=task.ticket)]

    def user(self, task: Task, seed: int) -> User | None:
        """Return who takes an answer in words; nobody where it has to be submitted."""
        return None if self.submits else Examiner()

    def score(self, episode: Episode) -> Score:
        """Return 1 for a right answer, 0 for another or none, with the components `answer` and `answered`."""
        answer = self.extraction.of(Run.of(episode))
        if answer.text is None:
            return Marked(False, False, answer.problem).score()
        return self.mark(answer, episode.task).score()

    @abstractmethod
    def mark(self, answer: FinalAnswer, task: Task) -> Marked:
        """Return what an answer to a task is worth."""

    @abstractmethod
    def right_answer(self, task: Task) -> str | float:
        """Return the right answer, as an agent would give it."""

    def hint(self, episode: Episode) -> Message | None:
        """Return the right answer: submitted, or in tags."""
        answer = self.right_answer(episode.task)
        if not self.submits:
            return Message(role="assistant", content=f"<answer>{answer}</answer>")
        return call_message(SUBMIT, {"answer": answer}, len(episode.calls))


def call_message(name: str, arguments: dict[str, Any], number: int) -> Message:
    """Return an assistant message with a single call."""
    return Message(role="assistant", tool_calls=(ToolCall(id=f"call_{number}", name=name, arguments=arguments),))
