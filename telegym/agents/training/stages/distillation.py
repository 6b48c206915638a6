"""On-policy distillation: the policy plays, and learns a teacher's distribution at the tokens it sampled itself.

With the whole vocabulary (`full`) the loss at a token is the divergence of the two distributions there: the reverse
one, KL(policy || teacher), of MiniLLM (arXiv:2306.08543), the forward one, or the generalised Jensen-Shannon divergence
of GKD (arXiv:2306.13649). With the sampled token alone (`sampled`) it is the policy gradient of the reverse one: the
token's log-probability, weighed by how much less likely it is for the teacher than for the policy. States are taken as
they came.

Distributions over the vocabulary are made for some tokens at a time and made again for the gradient, so that they never
need more memory than these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from telegym.agents.prompting import ChatCodec
from telegym.agents.training.rollouts import Transcript
from telegym.agents.training.stages.forward import learnt_tokens, predictions
from telegym.agents.training.stages.items import Example, Item
from telegym.agents.training.stages.playing import PlayingCollector, Scene, TaskRow
from telegym.agents.training.stages.rejection import example_of
from telegym.agents.training.stages.settings import DistillationSettings
from telegym.agents.training.stages.trainer import Collection, Loss
from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError

__all__ = ["Distillation", "DistillationCollector", "check_vocabulary", "divergence", "teacher_view"]

_MOST_WEIGHT = 2.0
"""At what the weight of a token is cut off whose probability has changed since it was sampled."""


def check_vocabulary(own: Any, other: Any, teacher: str) -> None:
    """Refuse a teacher whose tokens are not the policy's.

    Args:
        own: The policy's tokenizer.
        other: The teacher's.
        teacher: Name of the teacher, for the message.

    Raises:
        ConfigurationError: If they differ; the message names the first token that does.
    """
    mine, theirs = own.get_vocab(), other.get_vocab()
    if mine == theirs:
        return
    differing = sorted(
        (min(mine.get(token, 1 << 60), theirs.get(token, 1 << 60)), token)
        for token in {*mine, *theirs}
        if mine.get(token) != theirs.get(token)
    )
    token = differing[0][1]
    raise ConfigurationError(
        f"teacher {teacher!r} has other tokens than the policy: {token!r} is {mine.get(token)} for the policy and "
        f"{theirs.get(token)} for the teacher; a teacher needs the policy's tokenizer"
    )


def divergence(own: Tensor, other: Tensor, kind: str, mixture: float = 0.5) -> Tensor:
    """Return the divergence of two distributions at each token, in nats.

    Args:
        own: Log-probabilities of the policy, one row a token.
        other: Log-probabilities of the teacher.
        kind: `reverse`, `forward` or `jensen_shannon`.
        mixture: For `jensen_shannon`: the teacher's share of the mixture m; the divergence is
            mixture KL(teacher || m) + (1 - mixture) KL(policy || m).
    """
    if kind == "reverse":
        return _kl(own, other)
    if kind == "forward":
        return _kl(other, own)
    shares = own.new_tensor([mixture, 1 - mixture]).log()
    middle = torch.logsumexp(torch.stack([other + shares[0], own + shares[1]]), 0)
    return mixture * _kl(other, middle) + (1 - mixture) * _kl(own, middle)


def _kl(first: Tensor, second: Tensor) -> Tensor:
    return functional.kl_div(second, first, reduction="none", log_target=True).sum(-1)


def teacher_view(example: Example) -> Example:
    """Return a conversation as the teacher sees it."""
    if not example.teacher_prompt:
        return example
    start = example.prompt
    told = example.teacher_prompt
    return Example(told + example.ids[start:], [0] * len(told) + example.mask[start:])


class Distillation:
    """The divergence of policy and teacher, meant over the sampled tokens.

    Args:
        teacher: A causal language model with the policy's tokens.
        settings: Which divergence.
        temperature: Divides the logits of both, as in sampling.
    """

    def __init__(self, teacher: Any, settings: DistillationSettings, temperature: float = 1.0) -> None:
        self._teacher = teacher.eval().requires_grad_(False)
        self._settings = settings
        self._temperature = temperature

    def weight(self, item: Item) -> float:
        """Return how many tokens are learnt."""
        return float(_example(item).learnt)

    def length(self, item: Item) -> int:
        """Return how many tokens an example has, for whom it is longer."""
        example = _example(item)
        return max(len(example.ids), len(example.ids) - example.prompt + len(example.teacher_prompt))

    def loss(self, model: Any, items: Sequence[Item]) -> Loss:
        """Return the divergence at all tokens, summed."""
        examples = [_example(item) for item in items]
        own, head = predictions(model, examples)
        self._teacher.to(own.device)
        with torch.no_grad():
            seen, teacher_head = predictions(self._teacher, [teacher_view(each) for each in examples])
        targets = learnt_tokens(examples, own.device)
        drawn = torch.tensor([value for each in examples for value in each.logprobs], device=own.device)
        before = drawn if self._settings.estimator == "sampled" else torch.zeros_like(targets, dtype=torch.float)
        parts = zip(*(each.split(self._settings.chunk) for each in (own, seen, targets, before)), strict=True)
        found = [
            checkpoint(self._at, head, teacher_head, *part, use_reentrant=False, preserve_rng_state=False)
            for part in parts
        ]
        total = torch.stack([loss for loss, _ in found]).sum()
        return Loss(total, {"distillation/reverse_kl": float(sum(kl for _, kl in found))})

    def _at(
        self, head: Any, teacher_head: Any, own: Tensor, seen: Tensor, targets: Tensor, before: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the loss at some tokens, and the reverse divergence there, or its estimate."""
        logits, others = head(own), teacher_head(seen)
        common = min(logits.shape[-1], others.shape[-1])  # matrices are padded to different sizes
        policy = torch.log_softmax(logits[:, :common].float() / self._temperature, -1)
        teacher = torch.log_softmax(others[:, :common].float() / self._temperature, -1).detach()
        if self._settings.estimator == "full":
            loss = divergence(policy, teacher, self._settings.divergence, self._settings.mixture).sum()
            return loss, _kl(policy.detach(), teacher).sum()
        chosen = policy.gather(-1, targets[:, None])[:, 0]
        excess = chosen.detach() - teacher.gather(-1, targets[:, None])[:, 0]
        weight = (chosen.detach() - before).exp().clamp(max=_MOST_WEIGHT)
        return (weight * excess * chosen).sum(), excess.sum()


def _example(item: Item) -> Example:
    assert isinstance(item, Example)
    return item


class DistillationCollector(PlayingCollector[DistillationSettings]):
    """Plays tasks.

    Args:
        scene: Where it plays.
        settings: How much.
        teacher_codec: Turns an opening into what the teacher is told, if that differs.
    """

    def __init__(self, scene: Scene, settings: DistillationSettings, teacher_codec: ChatCodec | None = None) -> None:
        super().__init__(scene, settings)
        self._teacher_codec = teacher_codec

    def play(self, model: Any, number: int, rows: Sequence[TaskRow], found: Collection) -> list[Episode]:
        """Play tasks, and note what the teacher is told."""
        scene, codec = self._scene, self._teacher_codec
        episodes = [scene.episode(row) for row in rows]
        told = [codec.prompt(each) if codec is not None else [] for each in episodes]
        played = scene.play(model, number, episodes, scene.seeds(number, rows), logprobs=True)
        for row, transcript, prompt in zip(rows, played, told, strict=True):
            if transcript.sampled:
                found.items.append((row.number, _taught(transcript, prompt)))
        return episodes


def _taught(transcript: Transcript, teacher_prompt: list[int]) -> Example:
    made = example_of(transcript)
    return Example(made.ids, made.mask, made.logprobs, teacher_prompt, made.prompt)
