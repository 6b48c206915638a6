"""What a model predicts at the tokens that are learnt from, whether it is bare or wrapped for several processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from telegym.agents.training.scoring import chosen_logits
from telegym.agents.training.stages.items import Example

__all__ = ["example_logits", "learnt_logprobs", "learnt_tokens"]


def learnt_tokens(examples: Sequence[Example], device: torch.device) -> Tensor:
    """Return the tokens to be learnt, example by example."""
    chosen = [token for each in examples for token, learnt in zip(each.ids, each.mask, strict=True) if learnt]
    return torch.tensor(chosen, dtype=torch.long, device=device)


def example_logits(model: Any, examples: Sequence[Example]) -> Tensor:
    """Return the logits that predict the tokens to be learnt, example by example.

    Args:
        model: A causal language model, bare, with an adapter, or as a trainer wraps it.
        examples: One batch of them, which is padded on the right.
    """
    device = next(model.parameters()).device
    sequences = [torch.tensor(each.ids, dtype=torch.long, device=device) for each in examples]
    masks = [torch.tensor(each.mask, dtype=torch.bool, device=device) for each in examples]
    if isinstance(model, PreTrainedModel):
        return chosen_logits(model, sequences, masks)
    # A wrapper has to be called itself: it prepares the exchange of gradients.
    ids = nn.utils.rnn.pad_sequence(sequences, batch_first=True)
    before = nn.utils.rnn.pad_sequence([mask[1:] for mask in masks], batch_first=True)
    columns = before.any(0).nonzero()[:, 0]
    logits: Tensor = model(input_ids=ids, use_cache=False, logits_to_keep=columns).logits
    return logits[before[:, columns]]


def learnt_logprobs(model: Any, examples: Sequence[Example], temperature: float = 1.0) -> Tensor:
    """Return the log-probability of each token to be learnt, example by example.

    Args:
        model: A causal language model, bare, with an adapter, or as a trainer wraps it.
        examples: One batch of them.
        temperature: Divides the logits.
    """
    logits = example_logits(model, examples).float() / temperature
    targets = learnt_tokens(examples, logits.device)
    return torch.log_softmax(logits, -1).gather(-1, targets[:, None])[:, 0]
