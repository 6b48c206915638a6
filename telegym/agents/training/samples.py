"""Episodes of the training to read: what was said and called, what it was worth, and which turn gets the credit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from telegym.agents.training.rollouts import Transcript
from telegym.agents.training.run_settings import SamplesSettings
from telegym.core.messages import Message, ToolCall
from telegym.core.score import Score
from telegym.rewards.base import Judgement
from telegym.rewards.verdict import CallVerdict

if TYPE_CHECKING:
    import jinja2

__all__ = ["Sampled", "chosen", "samples_page"]

_TICKS = re.compile(r"`+")


@dataclass(frozen=True, slots=True)
class Sampled:
    """One rollout and what became of it."""

    transcript: Transcript
    """The rollout."""
    score: Score
    """What the rewards made of it, or the environment where there are none."""
    reward: float | None
    """What it was worth to the trainer; None if it was left out."""
    credit: tuple[float, ...] = ()
    """The advantage of each turn, if it is known."""


@dataclass(frozen=True, slots=True)
class _Block:
    speaker: str
    text: str
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class _Turn:
    credit: str | None
    blocks: list[_Block]


@dataclass(frozen=True, slots=True)
class _Shown:
    title: str
    task: str
    seed: int
    reward: str
    solved: bool
    end: str
    parts: list[tuple[str, str]]
    reasons: tuple[str, ...]
    opening: list[_Block]
    turns: list[_Turn]


def chosen(items: Sequence[Sampled], number: int) -> list[Sampled]:
    """Return the best, the worst, and then evenly those between; rollouts without a reward come last.

    Args:
        items: All rollouts of a step.
        number: How many.
    """
    ranked = sorted(items, key=lambda item: (item.reward is None, -(item.reward or 0.0)))
    count, last = min(number, len(ranked)), len(ranked) - 1
    return [ranked[round(place * last / max(1, count - 1))] for place in range(count)]


def samples_page(step: int, items: Sequence[Sampled], settings: SamplesSettings) -> str:
    """Return a page about some rollouts of a step, as Markdown.

    Args:
        step: Number of the step, from 1.
        items: All rollouts of the step.
        settings: How many are shown, and how much of them.
    """
    ranked = sorted((item.reward for item in items if item.reward is not None), reverse=True)
    shown = [_shown(item, _title(item, ranked, len(items)), settings) for item in chosen(items, settings.number)]
    return _template().render(step=step, samples=shown)


@cache
def _template() -> jinja2.Template:
    import jinja2

    text = (resources.files("telegym.agents.training") / "templates" / "sample.md.jinja").read_text("utf-8")
    environment = jinja2.Environment(trim_blocks=True, autoescape=False)  # Markdown, not HTML
    return environment.from_string(text)


def _title(item: Sampled, ranked: Sequence[float], count: int) -> str:
    if item.reward is None:
        return f"One of {count} rollouts, without a reward"
    return f"Number {ranked.index(item.reward) + 1} of {count} rollouts by reward"


def _shown(item: Sampled, title: str, settings: SamplesSettings) -> _Shown:
    episode, score = item.transcript.episode, item.score
    opening, turns = _split(episode.messages)
    verdicts = {each.index: each for each in score.verdicts} if isinstance(score, Judgement) else {}
    places = iter(range(len(episode.calls)))
    return _Shown(
        title=title,
        task=episode.task.id,
        seed=episode.seed,
        reward="none" if item.reward is None else f"{item.reward:.3f}",
        solved=episode.score().success,
        end=str(episode.end),
        parts=[(name, f"{value:.3g}") for name, value in score.components.items()],
        reasons=score.reasons if score.failure is None else (score.failure.message,),
        opening=[_said(message, settings) for message in opening if message.role != "system"],
        turns=[
            _Turn(
                f"{item.credit[number]:+.3f}" if number < len(item.credit) else None,
                [block for message in turn for block in _blocks(message, settings, verdicts, score, places)],
            )
            for number, turn in enumerate(turns)
        ],
    )


def _split(messages: Sequence[Message]) -> tuple[list[Message], list[list[Message]]]:
    """Return what comes before the agent's first turn, and then turn by turn."""
    opening: list[Message] = []
    turns: list[list[Message]] = []
    for message in messages:
        if message.role == "assistant":
            turns.append([message])
        elif turns:
            turns[-1].append(message)
        else:
            opening.append(message)
    return opening, turns


def _blocks(
    message: Message,
    settings: SamplesSettings,
    verdicts: Mapping[int, CallVerdict],
    score: Score,
    places: Iterator[int],
) -> list[_Block]:
    blocks = [_said(message, settings)] if message.content or not message.tool_calls else []
    for call in message.tool_calls:
        place = next(places, -1)
        blocks.append(_called(call, settings, verdicts.get(place), _value(score, place)))
    return blocks


def _value(score: Score, place: int) -> float | None:
    return score.calls[place] if 0 <= place < len(score.calls) else None


def _said(message: Message, settings: SamplesSettings) -> _Block:
    speaker = {"tool": f"answer of {message.name or 'a tool'}", "assistant": "agent"}.get(message.role, message.role)
    return _Block(speaker + (", an error" if message.error else ""), _fenced(message.content or "(nothing)", settings))


def _called(call: ToolCall, settings: SamplesSettings, verdict: CallVerdict | None, value: float | None) -> _Block:
    text = call.raw if call.parse_error and call.raw else json.dumps(call.arguments, ensure_ascii=False)
    words = []
    if verdict is not None:
        said = {True: "reasonable", False: "not reasonable", None: "no verdict"}[verdict.reasonable]
        words.append(" ".join([said, *([f"({verdict.code})"] if verdict.code else []), verdict.evidence]).strip())
    if value is not None:
        words.append(f"value {value:.3g}")
    speaker = "user" if call.requestor == "user" else "agent"
    return _Block(f"{speaker} calls {call.name}", _fenced(text, settings), "; ".join(words))


def _fenced(text: str, settings: SamplesSettings) -> str:
    """Return a text as a block of Markdown that nothing in it can end."""
    cut = text[: settings.characters]
    more = f"\n… {len(text) - len(cut)} more characters" if len(text) > len(cut) else ""
    fence = "`" * max(3, 1 + max((len(run) for run in _TICKS.findall(cut)), default=0))
    return f"{fence}\n{cut}{more}\n{fence}"
