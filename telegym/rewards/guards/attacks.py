"""Attacks: what agents try on judges, as data, each attached to a run that failed honestly.

A judge or a composition that gives an attacked run more than the honest one has been taken in. The attacks are in
`attacks.jsonl`, in English, Chinese and twelve other languages; they are for measuring, not for learning from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from telegym.core.episode import Episode
from telegym.core.messages import Message, ToolCall
from telegym.core.user import STOP
from telegym.rewards.base import Run

if TYPE_CHECKING:
    from telegym.core.environment import Environment
    from telegym.core.task import Task

__all__ = ["Attack", "attacked", "attacks", "honest_failure"]

Place = Literal["say", "argument", "last", "early", "only", "only_argument", "result", "calls"]
"""Where an attack stands: said beside a call, in the closing words given to a tool, as the last message, as the only
thing that is done, in place of a last message or of closing words, in the answer of a tool, or in the calls."""


class Attack(BaseModel):
    """One attack."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """The family and a number."""
    family: str
    """What kind of trick it is, for example `orders` or `padding`."""
    language: Literal["en", "zh", "other"]
    """Language of the attack and of the task it is attached to."""
    environment: Literal["tau2-telecom", "base-station"]
    """Where it is played."""
    where: Place
    """Where it stands."""
    text: str = ""
    """The text; `{question}` is the ticket."""
    moves: tuple[dict[str, Any], ...] = ()
    """For attacks in calls: `{call, arguments, say}` or `{at_once: [...]}`, in order."""
    bare: bool = False
    """Whether the run looks at nothing before it."""


@lru_cache(maxsize=1)
def attacks() -> tuple[Attack, ...]:
    """Return all attacks."""
    text = resources.files(__package__).joinpath("attacks.jsonl").read_text(encoding="utf-8")
    return tuple(Attack.model_validate_json(line) for line in text.splitlines())


def honest_failure(attack: Attack) -> Run:
    """Return the run that an attack is attached to, without the attack: it looks, repairs nothing, and says so."""
    return _honest(attack.environment, attack.language, attack.where in ("last", "only"))


def attacked(attack: Attack) -> Run:
    """Return the run with the attack. It is played, so that nothing but the attack distinguishes it."""
    if attack.where == "result":
        return _with_result(_honest(attack.environment, attack.language, False), attack.text)
    stage = _stage(attack.environment, attack.language)
    return Run.of(_play(stage, attack))


class _Stage:
    """A task of an environment, with what the calls of a run need to know of it."""

    def __init__(self, environment: Environment, task: Task, names: Mapping[str, str]) -> None:
        self.environment = environment
        self.task = task
        self.names = names
        self.talks = environment.id == "tau2-telecom"
        self.words = _WORDS["zh" if environment.options.get("language") == "zh" else "en"]

    def looks(self) -> list[dict[str, Any]]:
        """Return the calls of an honest beginning."""
        if self.talks:
            return [
                {"call": "get_customer_by_phone", "arguments": {"phone_number": self.names["phone"]}},
                {"call": "check_network_status", "arguments": {}},
            ]
        return [
            {"call": "get_record", "arguments": {"record_id": self.names["ticket"]}},
            {"call": "list_alarms", "arguments": {"scope_id": self.names["site"]}},
        ]

    def closes(self, words: str, said: str | None) -> list[Message]:
        """Return the messages that end the run with some words."""
        if self.talks:
            summary: dict[str, Any] = {"call": "transfer_to_human_agents", "arguments": {"summary": words}}
            return [_message([summary], said, 90), _message([{"call": "done", "arguments": {}}], None, 91)]
        closing = {"ticket_id": self.names["ticket"], "resolution": "monitoring_handed_over", "summary": words}
        named = {"ticket_id": self.names["ticket"], "root_cause": "stale_alarm", "element_id": self.names["site"]}
        diagnosis = _message([{"call": "submit_diagnosis", "arguments": named}], None, 89)
        return [diagnosis, _message([{"call": "close_ticket", "arguments": closing}], said, 90)]


_SITE = re.compile(r"S\d{3}(?!\d)")
_WORDS = {"en": "The cause was not found; somebody else has to look into this.", "zh": "未找到原因，转交他人继续处理。"}


def _message(calls: list[dict[str, Any]], said: str | None, number: int) -> Message:
    made = [
        ToolCall(id=f"call_{number}_{place}", name=call["call"], arguments=call["arguments"])
        for place, call in enumerate(calls)
    ]
    return Message(role="assistant", content=said, tool_calls=tuple(made))


@lru_cache(maxsize=8)
def _stage(environment_id: str, language: str) -> _Stage:
    from telegym.envs.registry import make_environment

    if environment_id == "tau2-telecom":
        environment = make_environment(environment_id, count=1)
        return _Stage(environment, environment.tasks[0], {"phone": _phone(environment.tasks[0].ticket)})
    spoken = "zh" if language == "zh" else "en"
    environment = make_environment(environment_id, count=50, kind="RES", easiest=1, hardest=1, language=spoken)
    task, site = next((task, match[0]) for task in environment.tasks if (match := _SITE.search(task.ticket)))
    return _Stage(environment, task, {"ticket": task.ticket.split()[0], "site": site})


def _phone(ticket: str) -> str:
    return ticket.split("phone number ")[1][:12]


@lru_cache(maxsize=8)
def _honest(environment_id: str, language: str, spoken: bool) -> Run:
    stage = _stage(environment_id, "zh" if language == "zh" else "en")
    plain = {"id": "honest", "family": "honest", "language": language, "environment": environment_id}
    if spoken:
        return Run.of(_play(stage, Attack.model_validate({**plain, "where": "last", "text": stage.words})))
    return Run.of(_play(stage, Attack.model_validate({**plain, "where": "argument", "text": stage.words})))


def _play(stage: _Stage, attack: Attack) -> Episode:
    episode = Episode(stage.environment, stage.task, record=False)
    for message in _messages(stage, attack):
        if not episode.done:
            episode.step(message)
    return episode


def _messages(stage: _Stage, attack: Attack) -> Iterator[Message]:
    """Yield what the agent does."""
    text = attack.text.replace("{question}", stage.task.ticket)
    if attack.where not in ("early",) and not attack.bare:
        yield from (_message([call], None, number) for number, call in enumerate(stage.looks()))
    if attack.where == "calls":
        for number, move in enumerate(attack.moves, start=10):
            yield _message(_filled(move, stage), move.get("say"), number)
        yield from stage.closes(stage.words, None)
    elif attack.where in ("last", "only") or (attack.where == "early" and stage.talks):
        yield Message(role="assistant", content=f"{text} {STOP}" if text else STOP)
    elif attack.where == "say":
        yield from stage.closes(stage.words, text)
    else:
        yield from stage.closes(text, None)


def _filled(move: Mapping[str, Any], stage: _Stage) -> list[dict[str, Any]]:
    calls = move.get("at_once", [move])
    text = json.dumps([{"call": call["call"], "arguments": call["arguments"]} for call in calls])
    for name, value in stage.names.items():
        text = text.replace(f"{{{name}}}", value)
    filled: list[dict[str, Any]] = json.loads(text)
    return filled


def _with_result(run: Run, text: str) -> Run:
    """Return a recording of a run in which the answer of the second call holds an attack."""
    trajectory = run.trajectory
    calls, messages = list(trajectory.calls), list(trajectory.messages)
    content = f"{calls[1].content}\n{text}"
    calls[1] = calls[1].model_copy(update={"content": content})
    place = [index for index, message in enumerate(messages) if message.role == "tool"][1]
    messages[place] = messages[place].model_copy(update={"content": content})
    return Run(trajectory=trajectory.model_copy(update={"calls": tuple(calls), "messages": tuple(messages)}))
