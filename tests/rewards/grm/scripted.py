"""A judge that says what it is told to say."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from telegym.core.episode import Episode
from telegym.core.score import Failure
from telegym.rewards.base import Run
from telegym.rewards.grm.backend import Choice, JudgeReply, JudgeRequest
from tests.toy import Toy

Said = str | Choice | Failure
Script = Callable[[JudgeRequest], Said]


class ScriptedBackend:
    """Answers with a function of the request, and keeps the requests."""

    revision = "1"

    def __init__(self, script: Script, *, model: str = "scripted", structured: bool = False) -> None:
        self.script = script
        self.model = model
        self.structured = structured
        self.requests: list[JudgeRequest] = []

    def complete(self, requests: Sequence[JudgeRequest], *, seconds: float | None = None) -> list[JudgeReply | Failure]:
        self.requests += requests
        return [self._reply(request) for request in requests]

    def _reply(self, request: JudgeRequest) -> JudgeReply | Failure:
        said = [self.script(request) for _ in range(request.n)]
        failure = next((each for each in said if isinstance(each, Failure)), None)
        if failure is not None:
            return failure
        choices = tuple(each if isinstance(each, Choice) else Choice(str(each)) for each in said)
        return JudgeReply(choices, prompt_tokens=100, completion_tokens=10 * request.n)


def always(*texts: Said) -> Script:
    """Say the texts in turn, the last one again and again."""
    rest = list(texts)
    return lambda request: rest.pop(0) if len(rest) > 1 else rest[0]


def verdict(score: int, marks: Sequence[tuple[int, str | None]] = (), analysis: str = "As it is.", **more: Any) -> str:
    """Return a reply in the form that is asked for."""
    calls = [{"i": n, "v": right, **({"code": code} if code else {})} for n, (right, code) in enumerate(marks, 1)]
    body = json.dumps({"calls": calls, "safe": 1, "done": score, "score": score, **more})
    return f"<analysis>{analysis}</analysis>\n{body}\n\\boxed{{{score}}}"


def played(number: int = 0, first: str | None = None, group: str | None = None) -> Run:
    """Return a run of the toy environment that ends well, after a first action of one's choice."""
    environment = Toy()
    episode = Episode(environment, environment.tasks[number])
    if first is not None:
        episode.step(first)
    while not episode.done:
        hint = environment.hint(episode)
        assert hint is not None
        episode.step(hint)
    return Run.of(episode, group=group)


def prompt_of(request: JudgeRequest) -> str:
    """Return what a judge reads."""
    return "\n".join(message.content or "" for message in request.messages)


READ = '<tool_call>{"name": "read_counter", "arguments": {"counter_id": "%s"}}</tool_call>'


class Memory(dict[str, Any]):
    """A store of answers that passes them through JSON, as one on disk does."""

    def set(self, key: str, value: Any) -> None:
        self[key] = json.dumps(value)

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self[key]) if key in self else default
