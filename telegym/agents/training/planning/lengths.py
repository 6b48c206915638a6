"""How long episodes are, in tokens: real tasks rendered and played by the environment's expert.

With a tokenizer on this machine the tokens are those of training. Without one they are estimated from characters.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from telegym.agents.prompting import ChatCodec, PromptProfile, call_text, opening_messages
from telegym.agents.training.planning.architecture import local_file
from telegym.agents.training.recipe import Recipe
from telegym.core.environment import Environment
from telegym.core.episode import Episode
from telegym.core.messages import Message

__all__ = ["CHARACTERS_PER_TOKEN", "Lengths", "measure_lengths"]

CHARACTERS_PER_TOKEN = 3.5
"""Assumed, not measured, where there is no tokenizer: English and JSON in vocabularies of 100,000 tokens and more."""
_TASKS = 8
_MOST_TURNS = 60
_TURN_OVERHEAD = 8

Source = Literal["tokenizer", "characters"]


class Lengths(BaseModel):
    """Tokens of episodes, over a sample of tasks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tasks: int
    """How many tasks were looked at."""
    source: Source
    """`tokenizer`: counted; `characters`: estimated from the number of characters."""
    prompt: float
    """Tokens of a prompt, on average."""
    longest_prompt: int
    """Tokens of the longest prompt."""
    sampled: float
    """Tokens the expert's turns would be in a run, on average; a model that thinks aloud needs more."""
    answered: float
    """Tokens that tools and users answered in the expert's run, on average."""
    longest_completion: int
    """Tokens after the prompt in the expert's longest run."""
    longest_turn: int
    """Tokens of the expert's longest turn."""
    turns: float
    """Turns of the expert's run, on average."""

    @property
    def completion(self) -> float:
        """Tokens after the prompt, on average."""
        return self.sampled + self.answered


class _Counter(Protocol):
    def prompt(self, episode: Episode) -> int: ...
    def turn(self, message: Message) -> int: ...
    def suffix(self, messages: Sequence[Message]) -> int: ...


class _Exact:
    """Counts with the model's tokenizer."""

    def __init__(self, codec: ChatCodec) -> None:
        self._codec = codec

    def prompt(self, episode: Episode) -> int:
        return len(self._codec.prompt(episode))

    def turn(self, message: Message) -> int:
        return len(self._codec.turn(message))

    def suffix(self, messages: Sequence[Message]) -> int:
        return len(self._codec.suffix(messages))


class _Estimated:
    """Counts characters."""

    def __init__(self, profile: PromptProfile) -> None:
        self._profile = profile

    def prompt(self, episode: Episode) -> int:
        tools = episode.toolkit.schemas("assistant") if self._profile.tools == "full" else []
        texts = [message["content"] or "" for message in opening_messages(episode, self._profile)]
        return _estimate([*texts, *(json.dumps(tool) for tool in tools)])

    def turn(self, message: Message) -> int:
        return _estimate([call_text(message)])

    def suffix(self, messages: Sequence[Message]) -> int:
        return _estimate([message.content or "" for message in messages])


def _estimate(texts: Sequence[str]) -> int:
    characters = sum(len(text) for text in texts)
    return round(characters / CHARACTERS_PER_TOKEN) + _TURN_OVERHEAD * len(texts)


def measure_lengths(recipe: Recipe, environment: Environment) -> Lengths:
    """Return how long the episodes of a recipe are.

    Args:
        recipe: Says which model is told what.
        environment: Where it learns; some of its tasks are rendered and played.
    """
    counter, source = _counter(recipe)
    count = len(environment.tasks)
    places = sorted({index * count // _TASKS for index in range(_TASKS)})
    runs = [_run(counter, Episode(environment, environment.tasks[place], record=False)) for place in places]
    completions = [sum(run.turns) + sum(run.answers) for run in runs]
    return Lengths(
        tasks=len(runs),
        source=source,
        prompt=statistics.fmean(run.prompt for run in runs),
        longest_prompt=max(run.prompt for run in runs),
        sampled=statistics.fmean(sum(run.turns) for run in runs),
        answered=statistics.fmean(sum(run.answers) for run in runs),
        longest_completion=max(completions),
        longest_turn=max((turn for run in runs for turn in run.turns), default=0),
        turns=statistics.fmean(len(run.turns) for run in runs),
    )


class _Run:
    """Lengths of one episode."""

    def __init__(self, prompt: int) -> None:
        self.prompt = prompt
        self.turns: list[int] = []
        self.answers: list[int] = []


def _run(counter: _Counter, episode: Episode) -> _Run:
    advise: Callable[[Episode], Message | None] = getattr(episode.environment, "expert", episode.environment.hint)
    run = _Run(counter.prompt(episode))
    while not episode.done and len(run.turns) < _MOST_TURNS:
        message = advise(episode)
        if message is None:
            break
        run.turns.append(counter.turn(message))
        answers = episode.step(message)
        if not episode.done:
            run.answers.append(counter.suffix(answers))
    return run


def _counter(recipe: Recipe) -> tuple[_Counter, Source]:
    tokenizer = _tokenizer(recipe.model.name)
    if tokenizer is None:
        return _Estimated(recipe.prompt), "characters"
    return _Exact(ChatCodec(tokenizer, recipe.prompt)), "tokenizer"


def _tokenizer(model: str) -> Any:
    """Return the tokenizer of a model if it is on this machine, and what reads it too."""
    file = local_file(model, "tokenizer_config.json")
    if file is None:
        return None
    try:
        from transformers import AutoTokenizer
    except ImportError:
        return None
    return AutoTokenizer.from_pretrained(str(file.parent))
