"""LocalAgent: a transformers model that plays, on this machine, without a server.

All episodes of a batch share one key-value cache that lasts from turn to turn. What the model is told is a
`PromptProfile`; models trained by TeleGym carry theirs in `telegym.json`.
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveInt, ValidationError
from transformers import AutoModelForCausalLM, AutoTokenizer

from telegym.agents.base import Action, Agent
from telegym.agents.generation import GenerationEngine, SampledTurn, Sampling, evaluating
from telegym.agents.prompting import ChatCodec, PromptProfile
from telegym.core.episode import EndReason, Episode
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message

__all__ = [
    "SHIPPED",
    "SIDECAR",
    "LocalAgent",
    "PlayerSettings",
    "freeze",
    "load_model",
    "load_tokenizer",
    "model_folder",
    "nano_agent",
    "nano_base_station_agent",
    "nano_tau2_agent",
]

SHIPPED = ("nano", "nano-base-station", "nano-tau2")
"""Policies that come with the package: customer service, and base-station maintenance."""
SIDECAR = "telegym.json"
"""File beside a model's weights that says how the model plays."""
_NO_LIMIT = 1_000_000


class PlayerSettings(BaseModel):
    """How a model plays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: PromptProfile = PromptProfile()
    """What it is told."""
    temperature: NonNegativeFloat = 0.0
    """Temperature; 0 takes the most likely token."""
    top_p: float = 1.0
    """Nucleus."""
    turn_tokens: PositiveInt = 1024
    """The most tokens in one turn."""
    context: PositiveInt | None = None
    """The most tokens of a conversation; by default what the model can take."""

    @classmethod
    def beside(cls, folder: str | Path) -> PlayerSettings:
        """Read the settings that a model carries; the defaults if it carries none.

        Raises:
            ConfigurationError: If the file is not valid.
        """
        path = Path(folder) / SIDECAR
        if not path.is_file():
            return cls()
        try:
            return cls.model_validate_json(path.read_text("utf-8"))
        except ValidationError as error:
            raise ConfigurationError(f"{path}: {error}") from None

    def write(self, folder: str | Path) -> None:
        """Write the settings beside a model."""
        (Path(folder) / SIDECAR).write_text(self.model_dump_json(indent=1) + "\n", "utf-8")


@dataclass(slots=True)
class _Seat:
    """What is known of an episode between two turns."""

    episode: Episode
    index: int
    turn: int
    text: str


class LocalAgent(Agent):
    """A transformers model.

    Args:
        path: A policy shipped with TeleGym (`nano`, `nano-base-station`, `nano-tau2`), a folder, or a name on the model
            hub.
        temperature: Temperature; 0 takes the most likely token. By default the model's own setting.
        top_p: Nucleus.
        turn_tokens: The most tokens in one turn.
        tools: How the tools are told: `full`, `compact` or `none`.
        policy: Whether the policy is told: `full` or `none`.
        device: Where the model runs; by default a GPU if there is one.
        seed: Decides the sampling.
    """

    def __init__(
        self,
        path: str,
        *,
        temperature: float | None = None,
        top_p: float | None = None,
        turn_tokens: int | None = None,
        tools: str | None = None,
        policy: str | None = None,
        device: str | None = None,
        seed: int = 0,
    ) -> None:
        folder = model_folder(path)
        own = PlayerSettings.beside(folder)
        given = {"temperature": temperature, "top_p": top_p, "turn_tokens": turn_tokens}
        told = {"tools": tools, "policy": policy}
        prompt = {**own.prompt.model_dump(), **{name: value for name, value in told.items() if value is not None}}
        changed = {name: value for name, value in given.items() if value is not None}
        try:
            settings = PlayerSettings.model_validate({**own.model_dump(), **changed, "prompt": prompt})
        except ValidationError as error:
            raise ConfigurationError(f"agent local:{path}: {error}") from None
        self.name = path if path in SHIPPED else f"local:{path}"
        self.seed = seed
        self._model = load_model(path).to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._codec = ChatCodec(load_tokenizer(path), settings.prompt)
        limit = self._model.config.get_text_config().max_position_embeddings
        sampling = Sampling(
            settings.temperature, settings.top_p, settings.turn_tokens, min(settings.context or limit, limit)
        )
        self._session = GenerationEngine(self._model, self._codec.stop_ids, sampling, _NO_LIMIT).session()
        self._seats: dict[int, _Seat] = {}
        self._numbers = count()

    def act(self, episodes: Sequence[Episode]) -> list[Action]:
        """Write the next turn of each episode, all together."""
        with evaluating(self._model):
            seats = [self._seat(episode) for episode in episodes]
            turns: dict[int, SampledTurn] = {}
            while self._session.busy:
                turns.update((turn.index, turn) for turn in self._session.step())
        return [self._action(seat, turns.get(seat.index)) for seat in seats]

    def finish(self, episodes: Sequence[Episode]) -> None:
        """Forget ended episodes."""
        for episode in episodes:
            self._leave(episode)

    def _seat(self, episode: Episode) -> _Seat:
        """Continue an episode where the model left it, or read it from the start."""
        seat = self._seats.get(id(episode))
        rng = self.stream(episode)
        if seat is not None and seat.turn == episode.turn and episode.actions[-1] == seat.text:
            if not self._session.extend(seat.index, self._codec.suffix(_news(episode)), rng):
                del self._seats[id(episode)]
            return seat
        self._leave(episode)
        seat = self._seats[id(episode)] = _Seat(episode, next(self._numbers), -1, "")
        self._session.start(seat.index, self._codec.prompt(episode), rng)
        return seat

    def _action(self, seat: _Seat, turn: SampledTurn | None) -> Action:
        if turn is None or not turn.complete:
            seat.episode.truncate(EndReason.TOKEN_LIMIT)
            return ""
        seat.text, seat.turn = self._codec.text(turn.ids), seat.episode.turn + 1
        return seat.text

    def _leave(self, episode: Episode) -> None:
        seat = self._seats.pop(id(episode), None)
        if seat is not None:
            self._session.drop(seat.index)


def nano_agent(temperature: float | None = None, top_p: float | None = None, seed: int = 0) -> LocalAgent:
    """Return the shipped policy for customer service."""
    return LocalAgent("nano", temperature=temperature, top_p=top_p, seed=seed)


def nano_base_station_agent(temperature: float | None = None, top_p: float | None = None, seed: int = 0) -> LocalAgent:
    """Return the shipped policy for base-station maintenance; it reads terse results."""
    return LocalAgent("nano-base-station", temperature=temperature, top_p=top_p, seed=seed)


def nano_tau2_agent(temperature: float | None = None, top_p: float | None = None, seed: int = 0) -> LocalAgent:
    """Return the shipped policy that was taught the published tasks of customer service too."""
    return LocalAgent("nano-tau2", temperature=temperature, top_p=top_p, seed=seed)


def freeze(model: Any, patterns: Sequence[str]) -> None:
    """Leave parameters of a model out of training, and train all others.

    Args:
        model: A torch module.
        patterns: Regular expressions: what matches one by name is frozen.

    Raises:
        ConfigurationError: If a pattern matches no parameter.
    """
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(re.search(pattern, name) for name in names):
            raise ConfigurationError(f"model.frozen: {pattern!r} matches no parameter; the first is {names[0]!r}")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not any(re.search(pattern, name) for pattern in patterns))


def model_folder(name: str | Path) -> str:
    """Return the folder of a model shipped with the package, and any other name as it is."""
    if str(name) in SHIPPED:
        return str(importlib.resources.files("telegym.agents.training").joinpath(str(name)))
    return str(name)


def load_model(name: str | Path, **options: Any) -> Any:
    """Return a causal language model, by default in single precision on a CPU and in its own precision on a GPU.

    Args:
        name: A model shipped with the package, a folder, or a name on a hub.
        **options: Passed to transformers.

    Raises:
        ConfigurationError: If there is no such model.
    """
    dtype: Any = "auto" if torch.cuda.is_available() else torch.float32
    return _load(AutoModelForCausalLM, name, {"dtype": dtype, **options})


def load_tokenizer(name: str | Path) -> Any:
    """Return the tokenizer of a model.

    Raises:
        ConfigurationError: If there is no such model.
    """
    return _load(AutoTokenizer, name, {"padding_side": "left"})


def _load(loader: Any, name: str | Path, options: dict[str, Any]) -> Any:
    try:
        return loader.from_pretrained(model_folder(name), **options)
    except OSError as error:
        raise ConfigurationError(f"no model {str(name)!r}: {str(error).splitlines()[0]}") from error


def _news(episode: Episode) -> list[Message]:
    """Return what came after the agent's last message."""
    news: list[Message] = []
    for message in reversed(episode.agent_messages()):
        if message.role == "assistant":
            break
        news.insert(0, message)
    return news
