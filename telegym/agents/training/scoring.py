"""Log-probabilities of chosen tokens, at the price of these tokens.

Sequences of similar length share a batch, padded on the right, so attention needs no mask; and the output layer, which
costs most in a small model, sees only the positions that are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["Likely", "Scored", "buckets", "chosen_logits", "likely_tokens", "score_tokens"]


class Scored(NamedTuple):
    """Values at the chosen tokens of all sequences, in order."""

    logprobs: Tensor
    """Log-probability of each chosen token given what precedes it."""
    entropies: Tensor | None
    """Entropy of the distribution there; with gradients only on demand."""


def buckets(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Split positions into batches of similar length.

    Args:
        lengths: Length of each sequence.
        tokens: The most tokens in a batch, padding included; a longer sequence has a batch of its own.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: (lengths[index], index)):
        if batch and lengths[index] * (len(batch) + 1) > tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def score_tokens(
    model: Any,
    sequences: Sequence[Tensor],
    masks: Sequence[Tensor],
    *,
    temperature: float = 1.0,
    entropies: bool | Literal["learnt"] = False,
    tokens: int = 8192,
) -> Scored:
    """Return the log-probabilities of chosen tokens.

    Args:
        model: A causal language model of transformers.
        sequences: Tokens of each sequence.
        masks: Which tokens are asked for; never the first one.
        temperature: Divides the logits.
        entropies: Whether to return entropies too; `learnt`: with gradients, for losses that entropy is part of.
        tokens: The most tokens in one forward pass.
    """
    pieces: dict[int, Tensor] = {}
    spread: dict[int, Tensor] = {}
    for batch in buckets([len(sequence) for sequence in sequences], tokens):
        chosen = [masks[index].bool() for index in batch]
        logits = chosen_logits(model, [sequences[index] for index in batch], chosen) / temperature
        logprobs = torch.log_softmax(logits.float(), -1)
        targets = torch.cat([sequences[index][mask] for index, mask in zip(batch, chosen, strict=True)])
        counts = [int(mask.sum()) for mask in chosen]
        picked = logprobs.gather(-1, targets[:, None])[:, 0]
        pieces.update(zip(batch, picked.split(counts), strict=True))
        if entropies:
            flat = logprobs if entropies == "learnt" else logprobs.detach()
            spread.update(zip(batch, (-(flat.exp() * flat).sum(-1)).split(counts), strict=True))
    order = range(len(sequences))
    return Scored(
        torch.cat([pieces[index] for index in order]),
        torch.cat([spread[index] for index in order]) if entropies else None,
    )


class Likely(NamedTuple):
    """A chosen token of a sequence, and what might have stood there."""

    logprob: float
    """Its log-probability given what precedes it."""
    top: tuple[tuple[int, float], ...]
    """The likeliest tokens there with their log-probabilities, likeliest first."""


def likely_tokens(
    model: Any, sequences: Sequence[Tensor], masks: Sequence[Tensor], count: int, *, tokens: int = 8192
) -> list[list[Likely]]:
    """Return the likeliest tokens at chosen positions.

    Args:
        model: A causal language model of transformers.
        sequences: Tokens of each sequence.
        masks: Which positions are asked for; never the first one.
        count: How many tokens at each position.
        tokens: The most tokens in one forward pass.
    """
    found: dict[int, list[Likely]] = {}
    for batch in buckets([len(sequence) for sequence in sequences], tokens):
        chosen = [masks[index].bool() for index in batch]
        logprobs = torch.log_softmax(chosen_logits(model, [sequences[index] for index in batch], chosen).float(), -1)
        targets = torch.cat([sequences[index][mask] for index, mask in zip(batch, chosen, strict=True)])
        picked = logprobs.gather(-1, targets[:, None])[:, 0].tolist()
        values, ids = (part.tolist() for part in logprobs.topk(min(count, logprobs.shape[-1])))
        rows = iter([Likely(own, tuple(zip(*top, strict=True))) for own, *top in zip(picked, ids, values, strict=True)])
        for index, mask in zip(batch, chosen, strict=True):
            found[index] = [next(rows) for _ in range(int(mask.sum()))]
    return [found[index] for index in range(len(sequences))]


def chosen_logits(model: Any, sequences: list[Tensor], masks: list[Tensor]) -> Tensor:
    """Return the logits that predict the chosen tokens of one batch, sequence by sequence.

    Args:
        model: A causal language model of transformers.
        sequences: Tokens of each sequence; shorter ones are padded on the right.
        masks: Which tokens are chosen; never the first one.
    """
    ids = nn.utils.rnn.pad_sequence(sequences, batch_first=True)
    before = nn.utils.rnn.pad_sequence([mask[1:] for mask in masks], batch_first=True)
    hidden = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    logits: Tensor = model.get_output_embeddings()(hidden[before])
    return logits
