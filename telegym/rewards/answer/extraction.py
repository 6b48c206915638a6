"""Where an agent's final answer stands: in a call, in tags, in a box, or in its last words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.user import OUT_OF_SCOPE, STOP, TRANSFER
from telegym.rewards.answer.normalisation import comparable
from telegym.rewards.base import Run

__all__ = ["Extraction", "FinalAnswer", "Source", "boxed", "last_words", "tagged", "without_thinking"]


class Source(StrEnum):
    """A place where a final answer can stand."""

    TOOL = "tool"
    """An argument of the last accepted call of a tool such as `submit_answer`."""
    TAG = "tag"
    """Between `<answer>` and `</answer>` in the last message."""
    BOXED = "boxed"
    r"""In the last `\boxed{…}` of the last message."""
    TEXT = "text"
    """The last message as a whole."""


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """What was found."""

    text: str | None
    """The answer as it was written; None if there is none."""
    source: Source | None = None
    """Where it stood."""
    unit: str = ""
    """The unit, where a tool takes it as an argument of its own."""
    problem: str = ""
    """Why there is no answer."""

    @property
    def marked(self) -> bool:
        """Whether the agent marked the answer as such, so that it has to be the answer and nothing else."""
        return self.source is not None and self.source is not Source.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """Finds the final answer of a run.

    Raises:
        ConfigurationError: If there is no such source.
    """

    sources: tuple[str, ...] = ("tool", "tag", "boxed", "text")
    """Where to look; the first place that has an answer counts."""
    tools: tuple[str, ...] = ("submit_answer",)
    """Tools whose calls give the answer."""
    argument: str = "answer"
    """The argument that holds the answer."""
    unit_argument: str = "unit"
    """The argument that holds the unit, if the tool has one."""
    tag: str = "answer"
    """Name of the tags."""
    once: bool = False
    """Whether tags have to occur exactly once: more or fewer are no answer. Otherwise several have to agree."""

    def __post_init__(self) -> None:
        for name in self.sources:
            if name not in list(Source):
                valid = [str(source) for source in Source]
                hint = did_you_mean(name, valid)
                raise ConfigurationError(f"no source {name!r} of answers; valid: {', '.join(valid)}.{hint}")

    def of(self, run: Run) -> FinalAnswer:
        """Return the final answer of a run."""
        text = without_thinking(last_words(run))
        problem = ""
        for source in self.sources:
            found = self._submitted(run) if source == Source.TOOL else self.in_text(text, Source(source))
            if found.text is not None:
                return found
            problem = problem or found.problem
        return FinalAnswer(None, problem=problem or "there is no final answer")

    def in_text(self, text: str, source: Source) -> FinalAnswer:
        """Return the answer that stands in one place of a message."""
        if source is Source.TAG:
            return self._tagged(text)
        found = boxed(text)[-1:] if source is Source.BOXED else [text]
        return FinalAnswer(found[0], source) if found and found[0].strip() else FinalAnswer(None)

    def _tagged(self, text: str) -> FinalAnswer:
        found = tagged(text, self.tag)
        if not found:
            return FinalAnswer(None, problem=f"there is no <{self.tag}> in the last message" if self.once else "")
        if self.once and len(found) > 1:
            return FinalAnswer(None, problem=f"<{self.tag}> occurs {len(found)} times, but has to occur once")
        if len({comparable(item) for item in found}) > 1:
            return FinalAnswer(None, problem=f"the {len(found)} <{self.tag}> contradict each other")
        return FinalAnswer(found[-1], Source.TAG) if found[-1].strip() else FinalAnswer(None)

    def _submitted(self, run: Run) -> FinalAnswer:
        for record in reversed(run.calls):
            call = record.call
            if record.error is None and call.requestor == "assistant" and call.name in self.tools:
                unit = call.arguments.get(self.unit_argument) or ""
                return FinalAnswer(_as_text(call.arguments.get(self.argument)), Source.TOOL, str(unit))
        return FinalAnswer(None)


def _as_text(value: object) -> str | None:
    """Return an argument as text: numbers as they are written, lists with semicolons between their elements."""
    if isinstance(value, list):
        return "; ".join(str(item) for item in value)
    return None if value is None else str(value)


def last_words(run: Run) -> str:
    """Return the text of the agent's last message, without words that end a conversation."""
    for message in reversed(run.messages):
        if message.role == "assistant":
            text = message.content or ""
            for word in (STOP, TRANSFER, OUT_OF_SCOPE):
                text = text.replace(word, "")
            return text.strip()
    return ""


_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_THOUGHT_END = re.compile(r"\A.*</think(?:ing)?>", re.DOTALL | re.IGNORECASE)


def without_thinking(text: str) -> str:
    """Return a text without `<think>…</think>`; a thought that does not end takes the rest with it.

    What precedes a lone `</think>` is a thought too: templates put the opening tag into the prompt.
    """
    return _THOUGHT_END.sub("", _THOUGHT.sub("", text)).strip()


def tagged(text: str, tag: str = "answer") -> list[str]:
    """Return what stands between tags of this name, in order."""
    name = re.escape(tag)
    return re.findall(rf"<{name}>((?:(?!<{name}>).)*?)</{name}>", text, re.DOTALL | re.IGNORECASE)


_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?=\{)")


def boxed(text: str) -> list[str]:
    r"""Return the contents of every `\boxed{…}`, in order; braces inside are balanced."""
    found = []
    for match in _BOX.finditer(text):
        end = _closing(text, match.end())
        if end is not None:
            found.append(text[match.end() + 1 : end])
    return found


def _closing(text: str, start: int) -> int | None:
    """Return where the brace that opens at `start` is closed."""
    depth = 0
    for place in range(start, len(text)):
        if text[place] in "{}" and text[place - 1] != "\\":
            depth += 1 if text[place] == "{" else -1
            if depth == 0:
                return place
    return None


def unwrapped(texts: Sequence[str]) -> list[str]:
    """Return texts without the box that may enclose each."""
    return [boxed(text)[-1] if boxed(text) else text for text in texts]
