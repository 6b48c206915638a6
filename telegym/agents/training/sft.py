"""Supervised learning on demonstrations: the loss counts the demonstrator's tokens only.

Demonstrations are tokenised as rollouts are, so that the model learns from exactly the tokens it will see. A batch is
made of sequences of similar length up to a budget of tokens; batches are formed once and shuffled by the trainer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer

from telegym.agents.prompting import ChatCodec
from telegym.agents.training.recipe import Recipe
from telegym.agents.training.scoring import buckets, score_tokens
from telegym.agents.training.stages.forward import learnt_logprobs
from telegym.agents.training.stages.items import Example
from telegym.core.environment import Environment
from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message

__all__ = [
    "Demonstration",
    "DemonstrationTrainer",
    "batches",
    "demonstrate",
    "demonstrations",
    "demonstrator_of",
    "task_index",
]

Demonstrator = Callable[[Episode], Message]


@dataclass(frozen=True, slots=True)
class Demonstration:
    """Tokens of one played episode."""

    ids: list[int]
    """All tokens, the prompt first."""
    mask: list[int]
    """1 for each token to be learnt."""


def demonstrate(codec: ChatCodec, episode: Episode, demonstrator: Demonstrator, tokens: int) -> Demonstration | None:
    """Play an episode to its end.

    Args:
        codec: Turns the episode into tokens.
        episode: What is played.
        demonstrator: Chooses the messages.
        tokens: The most tokens.

    Returns:
        The demonstration, or None if it needs more tokens.
    """
    ids = codec.prompt(episode)
    mask = [0] * len(ids)
    while len(ids) <= tokens:
        message = demonstrator(episode)
        turn = codec.turn(message)
        answer = episode.step(message)
        ids, mask = ids + turn, mask + [1] * len(turn)
        if episode.done:
            return Demonstration(ids, mask) if len(ids) <= tokens else None
        suffix = codec.suffix(answer)
        ids, mask = ids + suffix, mask + [0] * len(suffix)
    return None


def demonstrations(
    recipe: Recipe,
    codec: ChatCodec,
    environment: Environment,
    indices: Iterable[int],
    advance: Callable[[], None] = lambda: None,
) -> Iterator[Demonstration]:
    """Yield demonstrations that are not too long.

    Args:
        recipe: Says how many there are, and how the demonstrator errs.
        codec: Turns episodes into tokens.
        environment: Where they are played.
        indices: Which demonstrations.
        advance: Called for each.
    """
    for index in indices:
        episode = Episode(environment, environment.tasks[task_index(recipe, environment, index)], record=False)
        made = demonstrate(codec, episode, demonstrator_of(recipe, environment, index), recipe.rollout.context)
        advance()
        if made is not None and _kept(recipe, episode, index):
            yield made


def _kept(recipe: Recipe, episode: Episode, index: int) -> bool:
    """Return whether a demonstration is kept: some are left out that lack what is rare."""
    emphasis = recipe.sft.demonstrations.emphasis
    if emphasis is None or sum(call.call.name == emphasis.tool for call in episode.calls) >= emphasis.calls:
        return True
    return Random(f"{recipe.seed}/kept/{index}").random() < emphasis.others


def task_index(recipe: Recipe, environment: Environment, index: int) -> int:
    """Return the task of a demonstration: one each, or several in a row of one where there are fewer tasks."""
    count, tasks = recipe.sft.demonstrations.count, len(environment.tasks)
    return index if count <= tasks else index * tasks // count


def demonstrator_of(recipe: Recipe, environment: Environment, index: int) -> Demonstrator:
    """Return who plays a demonstration: somebody who errs in a share of them, else the environment's expert.

    Raises:
        ConfigurationError: If the environment has nobody to learn from.
    """
    settings = recipe.sft.demonstrations
    errs = bool(settings.mistakes) and Random(f"{recipe.seed}/mistaken/{index}").random() < settings.mistaken
    make = getattr(environment, "demonstrator", None)
    if make is not None:
        made: Demonstrator = make(recipe.seed, settings.mistakes if errs else {}, index)
        return made
    expert: Demonstrator | None = getattr(environment, "expert", None)
    if expert is None or errs:
        raise ConfigurationError(
            f"environment {environment.id!r} has nobody to learn {'mistakes' if errs else ''} from"
        )
    return expert


def batches(demonstrations: Sequence[Demonstration], tokens: int, epochs: int, seed: int) -> list[list[Demonstration]]:
    """Return batches of up to `tokens` tokens, epoch after epoch, each epoch in an order of its own."""
    grouped = list(buckets([len(item.ids) for item in demonstrations], tokens))
    ordered: list[list[Demonstration]] = []
    for epoch in range(epochs):
        Random(f"{seed}/{epoch}").shuffle(grouped)
        ordered += [[demonstrations[index] for index in group] for group in grouped]
    return ordered


class DemonstrationTrainer(Trainer):
    """A transformers `Trainer` whose dataset consists of ready batches, in order."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return torch.utils.data.SequentialSampler(self.train_dataset)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """Return the mean negative log-likelihood of the demonstrator's tokens, over all processes."""
        world = self.accelerator.num_processes
        if world > 1:
            shown = zip(inputs["sequences"], inputs["masks"], strict=True)
            logprobs = learnt_logprobs(model, [Example(ids.tolist(), mask.tolist()) for ids, mask in shown])
            total = self.accelerator.reduce(torch.tensor(float(len(logprobs)), device=logprobs.device), "sum")
            loss: Tensor = -logprobs.sum() * world / total
            return loss
        scored = score_tokens(model, inputs["sequences"], inputs["masks"], tokens=inputs["tokens"])
        return -scored.logprobs.mean()


def collate(batch: Sequence[Sequence[Demonstration]]) -> dict[str, Any]:
    """Return the tensors of one ready batch."""
    (items,) = batch
    return {
        "sequences": [torch.tensor(item.ids) for item in items],
        "masks": [torch.tensor(item.mask) for item in items],
        "tokens": 2 * max(len(item.ids) for item in items) * len(items),
    }


def corpus(codec: ChatCodec, demonstrations: Iterable[Demonstration]) -> list[str]:
    """Return the texts of demonstrations, control tokens included."""
    return [codec.tokenizer.decode(item.ids) for item in demonstrations]
