"""What a model predicts at the tokens that are learnt from, whether it is bare or wrapped for several processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from telegym.agents.training.stages.items import Example

__all__ = ["example_logits", "learnt_logprobs", "learnt_tokens", "predictions"]


def learnt_tokens(examples: Sequence[Example], device: torch.device) -> Tensor:
    """Return what is to be learnt, example by example."""
    chosen = [
        token
        for each in examples
        for token in each.targets or [token for token, learnt in zip(each.ids, each.mask, strict=True) if learnt]
    ]
    return torch.tensor(chosen, dtype=torch.long, device=device)


def predictions(model: Any, examples: Sequence[Example]) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return what predicts the tokens to be learnt, example by example, and what makes logits of it.

    Args:
        model: A causal language model, bare, with an adapter, or as a trainer wraps it.
        examples: One batch of them, which is padded on the right.

    Returns:
        Hidden states and the output layer; or, where the model is wrapped, logits and the identity.
    """
    device = next(model.parameters()).device
    ids, before = _padded(examples, device)
    if isinstance(model, PreTrainedModel) or hasattr(model, "peft_config"):
        hidden = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        return hidden[before], model.get_output_embeddings()
    # A wrapper has to be called itself: it prepares the exchange of gradients.
    columns = before.any(0).nonzero()[:, 0]
    logits = model(input_ids=ids, use_cache=False, logits_to_keep=columns).logits
    return logits[before[:, columns]], _same


def _padded(examples: Sequence[Example], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the tokens of a batch, and where the next token is to be learnt."""
    sequences = [torch.tensor(each.ids, dtype=torch.long, device=device) for each in examples]
    after = [torch.tensor(each.mask[1:], dtype=torch.bool, device=device) for each in examples]
    pad = nn.utils.rnn.pad_sequence
    return pad(sequences, batch_first=True), pad(after, batch_first=True)


def _same(logits: Tensor) -> Tensor:
    return logits


def example_logits(model: Any, examples: Sequence[Example]) -> Tensor:
    """Return the logits that predict the tokens to be learnt, example by example.

    Args:
        model: A causal language model, bare, with an adapter, or as a trainer wraps it.
        examples: One batch of them, which is padded on the right.
    """
    states, head = predictions(model, examples)
    return head(states)


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
