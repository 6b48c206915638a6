"""Imitation: the negative log-likelihood of chosen tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from telegym.agents.training.stages.forward import learnt_logprobs
from telegym.agents.training.stages.items import Example, Item
from telegym.agents.training.stages.trainer import Loss

__all__ = ["Imitation"]


class Imitation:
    """The mean negative log-likelihood of the tokens to be learnt."""

    def weight(self, item: Item) -> float:
        """Return how many tokens are learnt."""
        return float(_example(item).learnt)

    def length(self, item: Item) -> int:
        """Return how many tokens an example has."""
        return len(_example(item).ids)

    def loss(self, model: Any, items: Sequence[Item]) -> Loss:
        """Return the negative log-likelihood, summed."""
        return Loss(-learnt_logprobs(model, [_example(item) for item in items]).sum())


def _example(item: Item) -> Example:
    assert isinstance(item, Example)
    return item
