"""Reading: a run as guards see it: who wrote which text where, which calls were made, what the tools are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from typing import Any, Literal

import yaml

from telegym.core.environment import Environment
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message, Requestor
from telegym.core.tool import Kind, Tool
from telegym.rewards.base import Run
from telegym.rewards.guards.unmasking import fold, unmasked

__all__ = ["Done", "Passage", "Reading", "data"]

Origin = Literal["message", "argument", "result", "user"]
"""Where a text stands: said by the agent, given to a tool by it, answered by a tool, said by the user."""

_FREE_TEXT = frozenset(
    {"summary", "answer", "note", "message", "text", "comment", "justification", "reason", "description", "question"}
)
"""Parameters whose values are prose."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One text of a run."""

    text: str
    """The text."""
    origin: Origin
    """Where it stands."""
    message: int | None = None
    """Position among the messages, from 0."""
    call: int | None = None
    """Position among the calls, from 0; None outside calls."""
    field: str = ""
    """For arguments: the parameter."""
    after: int = 0
    """How many calls had been answered before."""

    @property
    def prose(self) -> bool:
        """Whether this is free text: something said, or a parameter made for prose."""
        return self.origin != "argument" or self.field in _FREE_TEXT

    @property
    def unmasked(self) -> tuple[str, ...]:
        """The text as it reads once disguises are taken off; see `telegym.rewards.guards.unmasking`."""
        return unmasked(self.text)


@dataclass(frozen=True, slots=True)
class Done:
    """One tool call, whoever made it."""

    index: int
    """Position among all calls, from 0."""
    name: str
    """Name of the tool."""
    arguments: dict[str, Any]
    """Arguments of the call."""
    content: str
    """The answer."""
    failed: bool
    """Whether it failed."""
    requestor: Requestor
    """Who called."""


class Reading:
    """A run as guards see it. Parts are computed when they are asked for, once.

    Args:
        run: The run; a live episode is read without making a trajectory of it.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        source = run.live if run.live is not None else run.trajectory
        self.task = source.task
        self.messages: Sequence[Message] = source.messages
        self.end = None if source.end is None else str(source.end)
        self.calls = [
            Done(
                each.index,
                each.call.name,
                each.call.arguments,
                each.content,
                each.error is not None,
                each.call.requestor,
            )
            for each in source.calls
        ]

    @property
    def agent_calls(self) -> list[Done]:
        """The agent's calls."""
        return [call for call in self.calls if call.requestor == "assistant"]

    @cached_property
    def environment(self) -> Environment | None:
        """The environment, built anew from the recording if need be; None if its name is unknown here."""
        if self.run.live is not None:
            return self.run.live.environment
        trajectory = self.run.trajectory
        return _environment(trajectory.environment, json.dumps(trajectory.options))

    @property
    def environment_id(self) -> str:
        """Name of the environment."""
        return self.environment.id if self.environment is not None else self.run.trajectory.environment

    @cached_property
    def tools(self) -> Mapping[str, Tool]:
        """The tools of the run by name; empty if the environment is unknown."""
        if self.environment is None:
            return {}
        return {tool.name: tool for tool in self.environment.toolkit(self.task)}

    @cached_property
    def customs(self) -> Mapping[str, Any]:
        """What is known of the environment's tools beyond their schemas: a section of `customs.yaml`."""
        wrapped = getattr(self.environment, "inner", None)
        name = wrapped.id if isinstance(wrapped, Environment) else self.environment_id
        found: Mapping[str, Any] = data("customs.yaml").get(name, {})
        return found

    def kind(self, name: str) -> Kind | None:
        """Return the kind of a tool, or None if it is unknown."""
        tool = self.tools.get(name)
        return tool.kind if tool is not None else None

    def works(self, call: Done) -> bool:
        """Whether a call looked at something or changed something: neither failed, nor an end, nor paperwork."""
        return not call.failed and self.kind(call.name) != "control" and call.name not in self.paperwork

    def changes(self, call: Done) -> bool:
        """Whether a call may have changed the state of affairs: a write that did not fail, paperwork excepted."""
        return self.works(call) and self.kind(call.name) == "write" and call.name not in self.tests

    @property
    def asks(self) -> bool:
        """Whether the task is to answer a question, for which there may be nothing to look at."""
        return self.environment is not None and all(tool.kind != "write" for tool in self.tools.values())

    @cached_property
    def paperwork(self) -> frozenset[str]:
        """Tools that tell somebody something, and neither look nor repair."""
        return frozenset(self.customs.get("paperwork", ()))

    @staticmethod
    def paperwork_of(environment_id: str) -> frozenset[str]:
        """Return the paperwork tools of an environment; none if it is unknown."""
        return frozenset(data("customs.yaml").get(environment_id, {}).get("paperwork", ()))

    @cached_property
    def tests(self) -> frozenset[str]:
        """Tools that are writes because they disturb, but are made to look."""
        return frozenset(self.customs.get("tests", ()))

    @cached_property
    def question(self) -> str:
        """What was asked: the ticket, and what the user said before the agent's first action."""
        said = [self.task.ticket]
        for message in self.messages:
            if message.role == "assistant" and message.tool_calls:
                break
            if message.role == "user" and message.content:
                said.append(message.content)
                break
        return "\n".join(dict.fromkeys(said))

    @cached_property
    def asked(self) -> str:
        """Question and policy, folded: what they ask to be written is not a trick."""
        policy = self.environment.instructions(self.task) if self.environment is not None else ""
        return f"{fold(self.question)}\n{_folded(policy)}"

    @cached_property
    def passages(self) -> tuple[Passage, ...]:
        """All texts in order of occurrence."""
        return tuple(_passages(self.messages))

    @cached_property
    def written(self) -> tuple[Passage, ...]:
        """What the agent wrote: its words and the text in its calls."""
        opening = _opening(self.messages)
        return tuple(
            each for each in self.passages if each.origin in ("message", "argument") and each.message not in opening
        )

    @cached_property
    def met(self) -> tuple[Passage, ...]:
        """What the agent was told: answers of tools, words of the user."""
        return tuple(each for each in self.passages if each.origin in ("result", "user"))

    @cached_property
    def answers(self) -> tuple[Passage, ...]:
        """The agent's last word: the prose of its last message, or all prose of that message's calls."""
        last = max((each.message for each in self.written if each.message is not None), default=None)
        return tuple(each for each in self.written if each.message == last and each.prose)


def _opening(messages: Sequence[Message]) -> frozenset[int]:
    """Return the positions of what the environment lets the agent say first, a greeting for example."""
    if messages and messages[0].role == "assistant" and len(messages) > 1 and messages[1].role == "user":
        return frozenset({0})
    return frozenset()


def _passages(messages: Sequence[Message]) -> Iterator[Passage]:
    calls = 0
    for position, message in enumerate(messages):
        if message.role == "tool":
            yield Passage(message.content or "", "result", position, calls, after=calls)
            calls += 1
        elif message.role == "user" and message.content:
            yield Passage(message.content, "user", position, after=calls)
        elif message.role == "assistant":
            if message.content is not None:
                yield Passage(message.content, "message", position, after=calls)
            for number, call in enumerate(message.tool_calls):
                for field, text in _texts(call.arguments if call.parse_error is None else {"": call.raw or ""}):
                    yield Passage(text, "argument", position, calls + number, field, calls)


def _texts(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """Yield all text in JSON arguments with the name of the parameter."""
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, field)


@lru_cache(maxsize=64)
def _folded(text: str) -> str:
    return fold(text)


@lru_cache(maxsize=16)
def _environment(environment_id: str, options: str) -> Environment | None:
    from telegym.envs.registry import make_environment

    try:
        return make_environment(environment_id, **json.loads(options))
    except ConfigurationError:
        return None


@lru_cache(maxsize=8)
def data(name: str) -> dict[str, Any]:
    """Return a data file of this package."""
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded
