"""Numerical problems as an environment: TeleMath's published ones, or ones made on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, get_args

from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message
from telegym.core.task import Task, TaskSet
from telegym.envs.questions.desk import Tools, check
from telegym.envs.questions.environment import Questions, call_message
from telegym.envs.questions.telemath_data import GeneratedProblems, Split, read_telemath
from telegym.rewards.answer.base import Marked
from telegym.rewards.answer.extraction import FinalAnswer
from telegym.rewards.answer.numeric import NumericReward, Rule

if TYPE_CHECKING:
    from telegym.core.episode import Episode

__all__ = ["TeleMath"]

LEVELS = ("basic", "advanced", "all")


class TeleMath(Questions):
    """Numerical problems of telecommunications.

    Args:
        data: A file with TeleMath's published problems; without it, problems are made.
        split: Of made problems: train, dev or test; train by default. Published problems are all for testing.
        count: How many problems are made.
        seed: Decides the problems that are made.
        level: basic, advanced or all; of published problems, which name their own difficulties, only all.
        tools: none, calculator, submit or all.
        scoring: strict, or telemath for the published rule; by default strict for made problems, telemath for
            published ones.
        language: Language of instructions, tools and made problems, en or zh.

    Raises:
        ConfigurationError: If an option has no valid value, or the file cannot be read.
    """

    id: ClassVar[str] = "telemath"

    def __init__(
        self,
        *,
        data: str | None = None,
        split: str | None = None,
        count: int = 1000,
        seed: int = 0,
        level: str = "all",
        tools: Tools = "all",
        scoring: Rule | None = None,
        language: str = "en",
    ) -> None:
        super().__init__("number", tools, language, "telemath")
        scoring = scoring or ("strict" if data is None else "telemath")
        check("scoring", scoring, get_args(Rule))
        check("level", level, LEVELS)
        self.reward = NumericReward(rule=scoring)
        """What compares an answer with the right one."""
        self._options: dict[str, Any] = {
            "data": data,
            "split": split,
            "count": count,
            "seed": seed,
            "level": level,
            "tools": tools,
            "scoring": scoring,
            "language": language,
        }
        self._tasks = self._published(data) if data is not None else self._made()

    def _made(self) -> TaskSet:
        options = self._options
        split: Split = options["split"] or "train"
        return GeneratedProblems(options["seed"], split, options["count"], self.language, options["level"])

    def _published(self, data: str) -> TaskSet:
        if self._options["split"] not in (None, "test", "all"):
            raise ConfigurationError(f"no split {self._options['split']!r} of published problems; valid: test, all")
        if self._options["level"] != "all":
            raise ConfigurationError("level goes with problems that are made; published ones have the label difficulty")
        return TaskSet(read_telemath(data))

    @property
    def options(self) -> dict[str, Any]:
        """The options with which an equal environment is built."""
        return dict(self._options)

    @property
    def tasks(self) -> TaskSet:
        """The problems."""
        return self._tasks

    def mark(self, answer: FinalAnswer, task: Task) -> Marked:
        """Return what an answer is worth."""
        return self.reward.mark(answer, task)

    def right_answer(self, task: Task) -> float:
        """Return the right answer."""
        found: float = task.data["answer"]
        return found

    def hint(self, episode: Episode) -> Message | None:
        """Return the computation where there is a calculator that was not used yet, then the right answer."""
        expression = episode.task.data.get("expression")
        if expression and "calculator" in episode.toolkit and not episode.calls:
            return call_message("calculator", {"expression": expression}, 0)
        return super().hint(episode)
