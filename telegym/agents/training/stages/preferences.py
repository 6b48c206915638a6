"""Preferences: of two rollouts of a task, the better one is made more likely than the worse one (DPO).

The loss of a pair is -log sigmoid(beta ((log p(w) - log r(w)) - (log p(l) - log r(l)))) of arXiv:2305.18290, where p is
the policy, r the reference, w the better and l the worse rollout. A rollout has several turns; its log-probability is
that of all tokens that were sampled in it, and tokens of answers do not count. The reference is the policy as it was
when a round began, so that its log-probabilities are computed once, and no second model is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from telegym.agents.prompting import ChatCodec
from telegym.agents.training.scoring import buckets
from telegym.agents.training.stages.forward import learnt_logprobs
from telegym.agents.training.stages.groups import GroupCollector, Valued
from telegym.agents.training.stages.items import Example, Item, Pair
from telegym.agents.training.stages.playing import TaskRow
from telegym.agents.training.stages.recorded import Reader, recorded_rewards, trajectories_in
from telegym.agents.training.stages.rejection import example_of
from telegym.agents.training.stages.settings import PreferenceSettings
from telegym.agents.training.stages.trainer import Collection, Loss
from telegym.core.errors import ConfigurationError

__all__ = [
    "Preference",
    "PreferenceCollector",
    "RecordedPairs",
    "extremes",
    "pair_losses",
    "recorded_pairs",
    "sequence_logprobs",
]

T = TypeVar("T")


def extremes(group: Sequence[tuple[T, float | None]], most: int, margin: float) -> list[tuple[T, T]]:
    """Return pairs of a group: its best with its worst member, the second best with the second worst, and so on.

    Args:
        group: Members with their rewards. Those without a reward do not count.
        most: The most pairs.
        margin: By how much the reward of the better one is higher at least.
    """
    ordered = sorted(((value, place) for place, (_, value) in enumerate(group) if value is not None), reverse=True)
    pairs = zip(ordered[: len(ordered) // 2], ordered[::-1], strict=False)
    return [(group[a][0], group[b][0]) for (best, a), (worst, b) in pairs if best - worst >= margin - 1e-9][:most]


def pair_losses(gains: Tensor, settings: PreferenceSettings) -> Tensor:
    """Return the loss of each pair.

    Args:
        gains: By how much the log-probability of the better rollout has risen more than that of the worse one since the
            reference.
        settings: Which loss.
    """
    if settings.loss == "ipo":
        return (gains - 1 / (2 * settings.beta)) ** 2
    scaled = settings.beta * gains
    wrong = settings.smoothing
    return -(1 - wrong) * functional.logsigmoid(scaled) - wrong * functional.logsigmoid(-scaled)


class Preference:
    """The loss of DPO or IPO, meant over pairs.

    Args:
        settings: Which one.
    """

    def __init__(self, settings: PreferenceSettings) -> None:
        self._settings = settings

    def weight(self, item: Item) -> float:
        """Return that a pair counts once."""
        return 1.0

    def length(self, item: Item) -> int:
        """Return how many tokens a pair takes in a pass, padding included."""
        pair = _pair(item)
        return 2 * max(len(pair.chosen.ids), len(pair.rejected.ids))

    def loss(self, model: Any, items: Sequence[Item]) -> Loss:
        """Return the loss of some pairs, summed."""
        pairs = [_pair(item) for item in items]
        examples = [example for pair in pairs for example in (pair.chosen, pair.rejected)]
        counts = [example.learnt for example in examples]
        sums = torch.stack([part.sum() for part in learnt_logprobs(model, examples).split(counts)]).reshape(-1, 2)
        reference = torch.tensor([pair.reference for pair in pairs], device=sums.device)
        rises = sums - reference
        gains = rises[:, 0] - rises[:, 1]
        total = pair_losses(gains, self._settings).sum()
        if self._settings.imitation:
            total = total - self._settings.imitation * (sums[:, 0] / sums.new_tensor(counts[::2])).sum()
        return Loss(
            total,
            {
                "preferences/right": float((gains > 0).sum()),
                "preferences/margin": self._settings.beta * float(gains.detach().sum()),
                "preferences/chosen": float(rises.detach()[:, 0].sum()),
                "preferences/rejected": float(rises.detach()[:, 1].sum()),
            },
        )


def _pair(item: Item) -> Pair:
    assert isinstance(item, Pair)
    return item


@torch.no_grad()
def sequence_logprobs(model: Any, examples: Sequence[Example], tokens: int) -> list[float]:
    """Return the log-probability of all tokens to be learnt of each example.

    Args:
        model: A causal language model; used in evaluation mode.
        examples: The examples.
        tokens: The most tokens in one forward pass.
    """
    training = model.training
    model.eval()
    found: dict[int, float] = {}
    for part in buckets([len(each.ids) for each in examples], tokens):
        chosen = [examples[place] for place in part]
        sums = learnt_logprobs(model, chosen).split([each.learnt for each in chosen])
        found.update(zip(part, (float(each.sum()) for each in sums), strict=True))
    model.train(training)
    return [found[place] for place in range(len(examples))]


def _referred(model: Any, pairs: Sequence[tuple[Example, Example]], tokens: int) -> list[Pair]:
    """Return pairs with the log-probabilities under the policy as it is now."""
    flat = sequence_logprobs(model, [example for pair in pairs for example in pair], tokens)
    return [Pair(*pair, (flat[2 * place], flat[2 * place + 1])) for place, pair in enumerate(pairs)]


class PreferenceCollector(GroupCollector[PreferenceSettings]):
    """Plays tasks several times and pairs the best with the worst rollouts."""

    def choose(
        self, model: Any, rows: Sequence[TaskRow], groups: Sequence[Sequence[Valued]], found: Collection
    ) -> None:
        """Pair rollouts of each task."""
        settings = self._settings
        numbers, pairs = [], []
        for row, group in zip(rows, groups, strict=True):
            sampled = [(item, value) for item, value in group if item.sampled]
            chosen = extremes(sampled, settings.pairs, settings.margin)
            numbers += [row.number] * len(chosen)
            pairs += [(example_of(best), example_of(worst)) for best, worst in chosen]
            found.figures.setdefault("preferences/pairs", []).append(float(len(chosen)))
        found.items += zip(numbers, _referred(model, pairs, settings.forward_tokens), strict=True)


def recorded_pairs(codec: ChatCodec, settings: PreferenceSettings, tokens: int) -> list[tuple[Example, Example]]:
    """Return pairs of recorded trajectories of the same environment, task and seed.

    Args:
        codec: Of the model that learns.
        settings: Which files, and what makes a pair.
        tokens: The most tokens of a conversation.

    Raises:
        ConfigurationError: If there is no pair.
    """
    reader = Reader(codec, settings.raw)
    recorded = list(trajectories_in(settings.files))
    rewards = recorded_rewards(reader, settings, recorded)
    groups: dict[tuple[str, str, int], list[tuple[Example, float | None]]] = {}
    for trajectory, reward in zip(recorded, rewards, strict=True):
        example = reader.example(trajectory, tokens)
        if example is not None:
            key = (trajectory.environment, trajectory.task.id, trajectory.seed)
            groups.setdefault(key, []).append((example, reward))
    pairs = [pair for group in groups.values() for pair in extremes(group, settings.pairs, settings.margin)]
    if not pairs:
        raise ConfigurationError(
            f"no two of {len(recorded)} trajectories have the same task and seed and rewards that differ by "
            f"{settings.margin:g}; lower preferences.margin, or give other files"
        )
    return pairs


class RecordedPairs:
    """Shares out the pairs of files among the rounds.

    Args:
        pairs: The pairs.
        settings: How many rounds.
    """

    def __init__(self, pairs: Sequence[tuple[Example, Example]], settings: PreferenceSettings) -> None:
        self._pairs = pairs
        self._settings = settings

    def collect(self, model: Any, number: int, rank: int, world: int) -> Collection:
        """Return a process's part of a round's pairs."""
        places = range(number, len(self._pairs), self._settings.rounds)[rank::world]
        made = _referred(model, [self._pairs[place] for place in places], self._settings.forward_tokens)
        return Collection(list(zip(places, made, strict=True)), {"preferences/pairs": [float(len(made))]})
