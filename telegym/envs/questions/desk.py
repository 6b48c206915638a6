"""Where an answer is handed in: the world of a question, the tools, and who takes an answer given in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any, ClassVar, Literal, Self, get_args

import yaml

from telegym.core.errors import ConfigurationError, ToolError, did_you_mean
from telegym.core.messages import Message
from telegym.core.tool import Tool, Toolkit
from telegym.core.user import STOP, User
from telegym.core.world import World
from telegym.tools.calculator import LANGUAGES, calculator

__all__ = ["Desk", "Examiner", "Form", "Tools", "check", "phrases", "toolkit"]

Form = Literal["choice", "verify", "open", "number"]
"""What an answer is: an option, yes or no, words, a number."""
Tools = Literal["none", "calculator", "submit", "all"]
"""What the agent has: nothing (it answers in words), a calculator, `submit_answer`, or both."""


class Desk(World):
    """Holds the answer that was handed in."""

    cheap_snapshots: ClassVar[bool] = True

    def __init__(self, answer: str | None = None, unit: str = "") -> None:
        self.answer = answer
        self.unit = unit
        self.minutes = 0.0

    def dump(self) -> dict[str, Any]:
        """Return the answer."""
        return {"answer": self.answer, "unit": self.unit, "minutes": self.minutes}

    def snapshot(self) -> tuple[str | None, str, float]:
        """Return the answer as it is."""
        return self.answer, self.unit, self.minutes

    def restore(self, snapshot: tuple[str | None, str, float]) -> None:
        """Return to an earlier state."""
        self.answer, self.unit, self.minutes = snapshot

    def fork(self) -> Self:
        """Return a copy."""
        copy = type(self)()
        copy.restore(self.snapshot())
        return copy


class Examiner(User):
    """Takes the first thing the agent says as the answer, and ends the conversation."""

    def respond(self, incoming: Sequence[Message]) -> Message:
        """End the conversation."""
        return Message(role="user", content=STOP)

    def fork(self) -> Self:
        """Return this examiner, who remembers nothing."""
        return self


def _submit(desk: Desk, answer: str | float, unit: str = "") -> str:
    text = str(answer).strip()
    if not text:
        raise ToolError("the answer is empty")
    desk.answer, desk.unit = text, unit.strip()
    return "ok"


@cache
def phrases(name: str, language: str) -> dict[str, Any]:
    """Return the texts of a set of questions.

    Args:
        name: The file, for example `teleqna`.
        language: `en` or `zh`.

    Raises:
        ConfigurationError: If there is no such language.
    """
    check("language", language, LANGUAGES)
    file = resources.files("telegym.envs.questions").joinpath("texts", language, f"{name}.yaml")
    found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


@cache
def toolkit(form: Form, tools: Tools, language: str) -> Toolkit:
    """Return the tools for questions of a form.

    Raises:
        ConfigurationError: If there is no such choice of tools, or no such language.
    """
    check("tools", tools, get_args(Tools))
    check("language", language, LANGUAGES)
    found: list[Tool] = []
    if tools in ("calculator", "all"):
        found.append(calculator(language))
    if tools in ("submit", "all"):
        file = resources.files("telegym.envs.questions").joinpath("texts", language, "submit.json")
        schema = json.loads(file.read_text(encoding="utf-8"))[form]
        found.append(Tool.from_schema(schema, _submit, kind="control"))
    return Toolkit(found, "questions")


def check(name: str, value: str, valid: Sequence[str]) -> None:
    """Refuse a value that is not one of a few.

    Raises:
        ConfigurationError: If it is not; the message names the nearest.
    """
    if value not in valid:
        raise ConfigurationError(f"no {name} {value!r}; valid: {', '.join(valid)}.{did_you_mean(str(value), valid)}")
