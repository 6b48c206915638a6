"""Signals: what only a model can tell of runs, for rewards without labels.

Log-probabilities, entropies and self-certainties of the tokens that were sampled, and probabilities of reference
answers with and without the reasoning, all in batches of similar length. Texts of the answer take the place that the
run's own answer had.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from telegym.agents.prompting import ChatCodec, call_text
from telegym.agents.training.rollouts import Transcript
from telegym.agents.training.scoring import buckets, chosen_logits
from telegym.core.episode import Episode
from telegym.core.messages import Message
from telegym.rewards.base import Run, Signals

__all__ = [
    "Baseline",
    "Question",
    "fill_signals",
    "reference_probabilities",
    "sequence_of",
    "signals_of_tokens",
    "signals_of_transcripts",
]


class Question(NamedTuple):
    """What is asked of a model about one reference answer."""

    reasoned: Sequence[int]
    """Tokens up to the place of the answer, the reasoning included."""
    plain: Sequence[int]
    """Tokens up to the place of the answer, without any reasoning."""
    answer: Sequence[int]
    """Tokens of the reference answer."""


def signals_of_tokens(
    model: Any,
    sequences: Sequence[Sequence[int]],
    masks: Sequence[Sequence[int]],
    *,
    temperature: float = 1.0,
    tokens: int = 8192,
) -> list[Signals]:
    """Return log-probabilities, entropies and certainties at chosen tokens.

    Args:
        model: A causal language model of transformers.
        sequences: Tokens of each conversation.
        masks: 1 for each token that the policy sampled, 0 for the others; never 1 for the first token.
        temperature: Divides the logits; that of the sampling, for log-probabilities of what was sampled.
        tokens: The most tokens in one forward pass.

    Raises:
        ValueError: If a mask does not fit its sequence.
    """
    for place, (sequence, mask) in enumerate(zip(sequences, masks, strict=True)):
        if len(sequence) != len(mask) or (mask and mask[0]):
            raise ValueError(f"mask {place} does not fit: {len(mask)} marks for {len(sequence)} tokens, the first is 0")
    found: dict[int, Signals] = {}
    for batch in buckets([len(sequence) for sequence in sequences], tokens):
        for index, (logits, targets) in zip(batch, _pieces(model, sequences, masks, batch), strict=True):
            found[index] = _signals(logits / temperature, targets)
    return [found[index] for index in range(len(sequences))]


@torch.no_grad()
def _pieces(
    model: Any, sequences: Sequence[Sequence[int]], masks: Sequence[Sequence[int]], batch: Sequence[int]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield for each sequence of a batch the logits at its chosen tokens, and these tokens."""
    device = next(iter(model.parameters())).device
    ids = [torch.tensor(list(sequences[index]), dtype=torch.long, device=device) for index in batch]
    chosen = [torch.tensor(list(masks[index]), dtype=torch.bool, device=device) for index in batch]
    counts = [int(mask.sum()) for mask in chosen]
    logits = chosen_logits(model, ids, chosen).double() if sum(counts) else ids[0].new_zeros((0, 1)).double()
    for part, sequence, mask in zip(logits.split(counts), ids, chosen, strict=True):
        yield part, sequence[mask]


def _signals(logits: Tensor, targets: Tensor) -> Signals:
    """Return the signals of one run. KL(U || pi) = logsumexp - mean - log V (Intuitor, arXiv 2505.19590)."""
    if not len(targets):
        return Signals()
    total = logits.logsumexp(-1)
    logprobs = logits - total[:, None]
    entropies = -(logprobs.exp() * logprobs).sum(-1)
    certainties = total - logits.mean(-1) - math.log(logits.shape[-1])
    picked = logprobs.gather(-1, targets[:, None])[:, 0]
    return Signals(picked.tolist(), entropies.tolist(), certainties.tolist())


def signals_of_transcripts(
    model: Any, transcripts: Sequence[Transcript], *, temperature: float = 1.0, tokens: int = 8192
) -> list[Signals]:
    """Return the signals of rollouts whose tokens are at hand; see `signals_of_tokens`."""
    sequences = [[*item.prompt, *item.completion] for item in transcripts]
    masks = [[0] * len(item.prompt) + list(item.mask) for item in transcripts]
    return signals_of_tokens(model, sequences, masks, temperature=temperature, tokens=tokens)


def sequence_of(codec: ChatCodec, run: Run) -> tuple[list[int], list[int]]:
    """Return the tokens of a run as a model would have written and read them, and which of them are the agent's.

    The run is rendered turn by turn from its actions, as in a rollout; words that were sampled in other tokens than
    the tokenizer would choose are rendered in the tokenizer's.

    Args:
        codec: The model's codec.
        run: The run; a recording is played again for it.
    """
    played = run.episode
    replayed = Episode(played.environment, played.task, played.seed, played.limits, record=False)
    ids = codec.prompt(replayed)
    mask = [0] * len(ids)
    for action in played.actions:
        turn = codec.turn(action if isinstance(action, str) else call_text(action))
        answers: list[Message] = replayed.step(action)
        behind = [] if replayed.done else codec.suffix(answers)
        ids += [*turn, *behind]
        mask += [*([1] * len(turn)), *([0] * len(behind))]
    return ids, mask


def fill_signals(
    model: Any, codec: ChatCodec, runs: Sequence[Run], *, temperature: float = 1.0, tokens: int = 8192
) -> None:
    """Give runs the signals of a model; probabilities of reference answers that a run has already are kept.

    Args:
        model: A causal language model of transformers.
        codec: The model's codec.
        runs: The runs.
        temperature: Divides the logits.
        tokens: The most tokens in one forward pass.
    """
    rendered = [sequence_of(codec, run) for run in runs]
    ids, masks = [item[0] for item in rendered], [item[1] for item in rendered]
    for run, signals in zip(
        runs, signals_of_tokens(model, ids, masks, temperature=temperature, tokens=tokens), strict=True
    ):
        if run.signals is not None:
            signals.reference_probabilities = run.signals.reference_probabilities
            signals.baseline_probabilities = run.signals.baseline_probabilities
        run.signals = signals


def reference_probabilities(
    model: Any, contexts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], *, tokens: int = 8192
) -> list[list[float]]:
    """Return the probability of each token of reference answers, each behind its context (RLPR, arXiv 2506.18254).

    Args:
        model: A causal language model of transformers.
        contexts: Tokens up to the place of the answer; at least one each.
        answers: Tokens of the reference answers.
        tokens: The most tokens in one forward pass.

    Raises:
        ValueError: If a context is empty.
    """
    sequences = [[*context, *answer] for context, answer in zip(contexts, answers, strict=True)]
    masks = [[0] * len(context) + [1] * len(answer) for context, answer in zip(contexts, answers, strict=True)]
    found = signals_of_tokens(model, sequences, masks, tokens=tokens)
    return [[math.exp(logprob) for logprob in signals.logprobs] for signals in found]


class Baseline:
    """Probabilities of reference answers without reasoning, each computed once, by the policy that is first asked.

    Args:
        model: The first policy. It is asked when a question is new; later policies are not asked at all, so the
            baseline of a question stays what it was if it is filled before the training.
        tokens: The most tokens in one forward pass.
    """

    def __init__(self, model: Any, tokens: int = 8192) -> None:
        self._model = model
        self._tokens = tokens
        self._known: dict[tuple[tuple[int, ...], tuple[int, ...]], list[float]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def of(self, questions: Sequence[Question]) -> list[list[float]]:
        """Return the probabilities for each question; those not known are computed in one batch."""
        keys = [(tuple(question.plain), tuple(question.answer)) for question in questions]
        fresh = [key for key in dict.fromkeys(keys) if key not in self._known]
        if fresh:
            values = reference_probabilities(
                self._model, [key[0] for key in fresh], [key[1] for key in fresh], tokens=self._tokens
            )
            self._known.update(zip(fresh, values, strict=True))
        return [self._known[key] for key in keys]

    def fill(self, model: Any, runs: Sequence[Run], questions: Sequence[Question]) -> None:
        """Give runs the probabilities of their reference answers: with the reasoning by `model`, without by the first.

        Args:
            model: The present policy.
            runs: The runs.
            questions: What is asked of each.
        """
        reasoned = reference_probabilities(
            model, [item.reasoned for item in questions], [item.answer for item in questions], tokens=self._tokens
        )
        for run, found, plain in zip(runs, reasoned, self.of(questions), strict=True):
            run.signals = run.signals or Signals()
            run.signals.reference_probabilities = found
            run.signals.baseline_probabilities = plain
