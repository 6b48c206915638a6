"""What a judge gets to see of a run: the task, the policy, the tools and what was said and done. Nothing hidden.

Everything comes from messages the agent saw or wrote. The calls are never shortened; long texts lose their middle.
Equal runs have equal inputs and equal keys. What others wrote is data: it stands between marks that are derived from
its content, so it cannot contain them, its lines cannot pass for lines of the transcript, and strings that a judge's
verdict is read by are broken up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from telegym.core.episode import CallRecord
from telegym.core.messages import Message
from telegym.core.trajectory import CallEntry
from telegym.core.world import sha256_hex
from telegym.rewards.base import Run

__all__ = ["JudgeInput", "Step", "answer_input", "elide", "judge_input", "neutralise", "plain_json"]

JOINER = "\u2060"
"""Invisible character (word joiner) that breaks up control strings."""
_LEAST_CHARACTERS = 120
_CONTROL = re.compile(
    r"""\\boxed | </?\s*(?:think|analysis|answer|verdict|score|calls) | \[\[ | <\| | \|> | ["']\s*(?:score|calls|sure)
    \s*["'] | \bverdict | <<<|>>>""",
    re.IGNORECASE | re.VERBOSE,
)


class Step(BaseModel):
    """One thing that was said or done."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["say", "call", "observation"]
    """Words, a tool call of the agent, or its answer."""
    who: Literal["agent", "user", "tool"]
    """Who speaks."""
    number: int | None = None
    """Number of the call among the agent's calls, from 1; None for words."""
    name: str | None = None
    """Name of the tool."""
    arguments: str | None = None
    """Arguments of the call as JSON with sorted keys, or the text of a malformed call."""
    text: str | None = None
    """What was said or answered, shortened in the middle if it is long."""
    failed: bool = False
    """Whether the call was refused."""


class JudgeInput(BaseModel):
    """Everything a judge is told about one run or one answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: str = ""
    """The rules the agent had to follow."""
    tools: tuple[str, ...] = ()
    """The agent's tools, each as one line of JSON."""
    task: str = ""
    """The request, or the question."""
    steps: tuple[Step, ...] = ()
    """What was said and done, in order."""
    answer: str | None = None
    """The answer to a question."""
    reference: str | None = None
    """An acceptable answer; only ever shown in a second question."""
    rubrics: tuple[str, ...] = ()
    """Checks the judge has to apply."""
    positions: tuple[int, ...] = ()
    """For each of the agent's calls its position among all calls of the episode."""

    @cached_property
    def canonical(self) -> str:
        """The input as JSON: fields in a fixed order."""
        return plain_json(self.model_dump(mode="json", exclude={"positions"}), sort=False)

    @cached_property
    def key(self) -> str:
        """SHA-256 of the canonical form."""
        return sha256_hex(self.canonical)

    @property
    def calls(self) -> int:
        """Number of the agent's calls."""
        return len(self.positions)

    def transcript(self) -> str:
        """Return the steps as text, harmless to read: one line starts each step, others are indented."""
        return neutralise("\n".join(_line(step) for step in self.steps))

    def fence(self, text: str) -> str:
        """Return a text between marks that it cannot contain."""
        nonce = _nonce(self.key, text)
        return f"<<<{nonce}\n{text}\n{nonce}>>>"


def plain_json(value: Any, *, sort: bool = True) -> str:
    """Return JSON on one line that is equal for equal values, in readable characters."""
    return json.dumps(value, ensure_ascii=False, sort_keys=sort)


def neutralise(text: str) -> str:
    """Break up the strings by which verdicts, thoughts and turns are recognised, invisibly to a reader."""
    return _CONTROL.sub(lambda match: _broken(match[0]), text)


def _broken(found: str) -> str:
    return f"{found[:2]}{JOINER}{found[2:]}" if found[0] in "\"'" else f"{found[0]}{JOINER}{found[1:]}"


def elide(text: str, characters: int) -> str:
    """Return a text with at most about so many characters: the middle of a longer one is left out, and counted."""
    if len(text) <= characters:
        return text
    head = characters * 2 // 3
    tail = characters - head
    return f"{text[:head]} [… {len(text) - characters} characters left out …] {text[len(text) - tail :]}"


def answer_input(question: str, answer: str, reference: str | None = None, rubrics: Sequence[str] = ()) -> JudgeInput:
    """Return the input for a judge of a single answer."""
    return JudgeInput(task=question, answer=answer, reference=reference, rubrics=tuple(rubrics))


def judge_input(
    run: Run, *, rubrics: Sequence[str] = (), text_characters: int = 2_000, characters: int = 60_000
) -> JudgeInput:
    """Return what a judge is told about a run.

    Args:
        run: The run; hidden state, scores and labels of its task are not looked at.
        rubrics: Checks the judge has to apply.
        text_characters: Longer observations and utterances lose their middle.
        characters: If the transcript is longer than this, texts are shortened further, down to 120 characters each.
    """
    task, environment, calls = run.task, run.environment, run.calls
    request = next((message for message in run.messages if _is_request(message)), None)
    steps = list(_steps([message for message in run.messages if message is not request], calls))
    tools = environment.toolkit(task).schemas("assistant")
    return JudgeInput(
        policy=environment.instructions(task),
        tools=tuple(plain_json(tool.get("function", tool)) for tool in tools),
        task=(request.content or "") if request is not None else "",
        steps=tuple(_fitted(steps, text_characters, characters)),
        rubrics=tuple(rubrics),
        positions=tuple(entry.index for entry in calls if entry.call.requestor == "assistant"),
    )


def _is_request(message: Message) -> bool:
    return message.role == "user" and message.visible_to_agent


def _steps(messages: Sequence[Message], calls: Sequence[CallEntry | CallRecord]) -> Iterator[Step]:
    """Yield what the agent saw and did; every message of a tool is the answer to the next call."""
    entries = iter(calls)
    number = 0
    for message in messages:
        if message.role == "tool":
            entry = next(entries)
            if entry.call.requestor == "assistant":
                number += 1
                yield from _call_steps(entry, number)
        elif message.role in ("user", "assistant") and message.visible_to_agent and (message.content or "").strip():
            yield Step(kind="say", who="agent" if message.role == "assistant" else "user", text=message.content)


def _call_steps(entry: CallEntry | CallRecord, number: int) -> Iterator[Step]:
    call = entry.call
    arguments = plain_json(call.arguments) if call.parse_error is None else call.raw or ""
    failed = entry.error is not None
    yield Step(kind="call", who="agent", number=number, name=call.name, arguments=arguments, failed=failed)
    yield Step(kind="observation", who="tool", number=number, text=entry.content, failed=failed)


def _fitted(steps: Sequence[Step], text_characters: int, characters: int) -> list[Step]:
    """Shorten texts until the transcript fits, if that is possible without touching the calls."""
    limit = text_characters
    while True:
        fitted = [step.model_copy(update={"text": elide(step.text, limit)}) if step.text else step for step in steps]
        if limit <= _LEAST_CHARACTERS or sum(len(_line(step)) + 1 for step in fitted) <= characters:
            return fitted
        limit = max(_LEAST_CHARACTERS, limit // 2)


def _line(step: Step) -> str:
    if step.kind == "say":
        return f"[{step.who}] {_indented(step.text or '')}"
    if step.kind == "call":
        return f"[call {step.number}] {_indented(step.name or '')} {_indented(step.arguments or '')}"
    return f"[result {step.number}{', error' if step.failed else ''}] {_indented(step.text or '')}"


def _indented(text: str) -> str:
    """Indent all lines but the first, whatever ends them: no text can look like a step of its own."""
    return "\n    ".join(text.splitlines()) if len(text.splitlines()) > 1 else text.strip("\r\n")


def _nonce(key: str, text: str) -> str:
    nonce = key[:16]
    while nonce in text:
        nonce = sha256_hex(nonce)[:16]
    return nonce
