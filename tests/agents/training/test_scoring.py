"""Only the chosen tokens are computed, and they are what the whole computation gives."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from telegym.agents.training.scoring import buckets, score_tokens

from .toy_trainer import Policy


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 120))
def test_buckets_hold_every_sequence_once_within_the_budget(lengths: list[int], tokens: int) -> None:
    found = list(buckets(lengths, tokens))
    assert sorted(index for batch in found for index in batch) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) == 1 or max(lengths[index] for index in batch) * len(batch) <= tokens


def test_scores_are_those_of_the_whole_model(taught: Policy) -> None:
    generator = torch.Generator().manual_seed(0)
    size = taught.model.config.vocab_size
    sequences = [torch.randint(size, (length,), generator=generator) for length in (9, 30, 4, 17)]
    masks = [(torch.rand(len(each), generator=generator) < 0.4).long() for each in sequences]
    for mask in masks:
        mask[0] = 0
    with torch.no_grad():
        found = score_tokens(taught.model, sequences, masks, temperature=0.8, entropies=True, tokens=40)
        logprobs, entropies = [], []
        for ids, mask in zip(sequences, masks, strict=True):
            whole = torch.log_softmax(taught.model(input_ids=ids[None]).logits[0] / 0.8, -1)
            places = mask.nonzero()[:, 0]
            logprobs.append(whole[places - 1, ids[places]])
            entropies.append(-(whole.exp() * whole).sum(-1)[places - 1])
    assert torch.allclose(found.logprobs, torch.cat(logprobs), atol=1e-4)
    assert found.entropies is not None
    assert torch.allclose(found.entropies, torch.cat(entropies), atol=1e-4)
