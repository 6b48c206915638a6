"""The shape of a model, and what follows from it: how many parameters it has, and how much a token costs."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, PositiveInt

from telegym.agents.training.recipe import ModelSettings, ShapeSettings

__all__ = ["Architecture", "architecture_of", "known_models", "local_file", "of_config"]

_PACKAGE = "telegym.agents.training"
_FAMILIES = {"qwen3": (True, False), "qwen2": (False, True), "llama": (False, False), "mistral": (False, False)}
"""Model types whose parameters the formula counts: whether queries and keys are normalised, and have a bias."""


class Architecture(BaseModel):
    """A dense decoder with grouped queries and a gated feed-forward layer, as Qwen and Llama have it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vocabulary: PositiveInt
    """Tokens."""
    layers: PositiveInt
    """Transformer blocks."""
    hidden: PositiveInt
    """Width of the residual stream."""
    feed_forward: PositiveInt
    """Width of the feed-forward layers."""
    heads: PositiveInt
    """Query heads."""
    shared_heads: PositiveInt
    """Key and value heads."""
    head_size: PositiveInt
    """Width of a head."""
    tied: bool = False
    """Whether the output layer is the embedding."""
    query_norms: bool = False
    """Whether queries and keys are normalised, as in Qwen3."""
    biased: bool = False
    """Whether queries, keys and values have a bias, as in Qwen2."""
    context: PositiveInt = 4096
    """The most tokens of a conversation."""

    @property
    def queries(self) -> int:
        """Width of all query heads."""
        return self.heads * self.head_size

    @property
    def keys(self) -> int:
        """Width of all key heads; that of the value heads too."""
        return self.shared_heads * self.head_size

    def linear_layers(self) -> Iterator[tuple[str, int, int]]:
        """Yield the linear layers of one block: name, inputs, outputs."""
        yield "q_proj", self.hidden, self.queries
        yield "k_proj", self.hidden, self.keys
        yield "v_proj", self.hidden, self.keys
        yield "o_proj", self.queries, self.hidden
        yield "gate_proj", self.hidden, self.feed_forward
        yield "up_proj", self.hidden, self.feed_forward
        yield "down_proj", self.feed_forward, self.hidden

    @property
    def block_parameters(self) -> int:
        """Parameters of one block."""
        weights = sum(inputs * outputs for _, inputs, outputs in self.linear_layers())
        norms = 2 * self.hidden + (2 * self.head_size if self.query_norms else 0)
        return weights + norms + (self.queries + 2 * self.keys if self.biased else 0)

    @property
    def outer_parameters(self) -> int:
        """Parameters of embedding, output layer and last norm."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2) + self.hidden

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.layers * self.block_parameters + self.outer_parameters

    def adapter_parameters(self, rank: int, modules: str | list[str] = "all-linear") -> int:
        """Return the parameters of a low-rank adapter (LoRA, arXiv:2106.09685).

        Args:
            rank: Its rank.
            modules: Names of the linear layers that get one; `all-linear` means those of all blocks.
        """
        chosen = [
            inputs + outputs
            for name, inputs, outputs in self.linear_layers()
            if modules == "all-linear" or name in modules
        ]
        return self.layers * rank * sum(chosen)


def known_models() -> dict[str, Architecture]:
    """Return the models whose shape is known by name."""
    text = importlib.resources.files(__package__).joinpath("architectures.yaml").read_text("utf-8")
    return {name: Architecture.model_validate(shape) for name, shape in yaml.safe_load(text).items()}


def local_file(model: str, name: str) -> Path | None:
    """Return a file of a model that is on this machine: shipped, in a folder, or in the hub's cache; None otherwise."""
    folder = Path(str(importlib.resources.files(_PACKAGE).joinpath(model)))
    for path in (folder / name, Path(model) / name):
        if path.is_file():
            return path
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return None
    try:
        found = try_to_load_from_cache(model, name)
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None


def architecture_of(settings: ModelSettings) -> tuple[Architecture | None, str]:
    """Return the shape of a recipe's model, and where it is known from; None if it is not known."""
    if settings.name == "new":
        return _of_shape(settings.shape), "recipe"
    file = local_file(settings.name, "config.json")
    if file is not None:
        found = of_config(json.loads(file.read_text("utf-8")))
        if found is not None:
            return found, "config.json"
    found = known_models().get(settings.name)
    return found, "table of known models" if found is not None else "unknown"


def _of_shape(shape: ShapeSettings) -> Architecture:
    return Architecture(**shape.model_dump(include=set(Architecture.model_fields)), tied=True, query_norms=True)


def of_config(config: Mapping[str, Any]) -> Architecture | None:
    """Return the shape that a config.json states, or None if it is of another family than those the formula knows."""
    family = _FAMILIES.get(str(config.get("model_type")))
    if family is None:
        return None
    heads = config["num_attention_heads"]
    return Architecture(
        vocabulary=config["vocab_size"],
        layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        feed_forward=config["intermediate_size"],
        heads=heads,
        shared_heads=config.get("num_key_value_heads") or heads,
        head_size=config.get("head_dim") or config["hidden_size"] // heads,
        tied=bool(config.get("tie_word_embeddings", False)),
        query_norms=family[0],
        biased=family[1],
        context=config.get("max_position_embeddings", 4096),
    )
