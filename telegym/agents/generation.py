"""Batched multi-turn sampling on a transformers model: tokens in, tokens out, one key-value cache for all turns.

Each conversation occupies one row of the cache and its tokens sit there without gaps, so a key's index is its position.
A turn ends at a stop token; the caller then hands back the tokens that follow (tool results, the next user message) or
None when the conversation is over. Rows do not wait for each other: while some are answered, the others go on, and a
freed row takes the next waiting conversation. What was sampled is never tokenised again.

Every conversation draws from its own random stream, so what it samples does not depend on its neighbours.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.cache_utils import Cache
from transformers.modeling_utils import AttentionInterface

__all__ = ["Advance", "GenerationEngine", "Partner", "SampledTurn", "Sampling", "Session", "evaluating"]

_ATTENTION = "telegym_rows"
_READ_TOKENS = 8192
_ROUND = 128


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn."""

    temperature: float = 1.0
    """Divides the logits; 0 takes the most likely token."""
    top_p: float = 1.0
    """Draw from the smallest set of tokens with at least this probability."""
    turn_tokens: int = 256
    """A turn that has not ended after this many tokens is cut."""
    context: int = 4096
    """A conversation that reaches this many tokens is cut."""
    logprobs: bool = False
    """Whether to return the log-probability of each sampled token."""


@dataclass(frozen=True, slots=True)
class SampledTurn:
    """What the model wrote in one turn."""

    index: int
    """Position of the conversation in the prompts given."""
    ids: list[int]
    """Sampled tokens; the stop token is the last one if the turn ended by itself."""
    complete: bool
    """Whether the turn ended with a stop token, and not at a limit."""
    logprobs: list[float] | None = None
    """Log-probability of each token under the distribution it was drawn from, if asked for."""


Advance = Callable[[Sequence[SampledTurn]], Sequence["Sequence[int] | None"]]
"""Answers turns: for each one the tokens that follow it, or None where the conversation is over."""


class Partner(Protocol):
    """Answers turns that take time to answer."""

    def ask(self, turns: Sequence[SampledTurn]) -> None:
        """Begin to answer turns that have just ended, if any have."""
        ...

    def answers(self, *, idle: bool) -> Sequence[tuple[int, Sequence[int] | None]]:
        """Return answers: conversations, and what follows their turns, or None where they are over.

        Args:
            idle: Whether the model has nothing to write: then there is at least one answer.
        """
        ...


@dataclass(slots=True)
class _Row:
    """One conversation in the cache."""

    index: int
    pending: list[int]
    rng: random.Random
    length: int = 0
    resting: bool = False
    turn: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)


class RowCache(Cache):
    """Keys and values of all rows, without gaps; the last index of a row is scratch for padding.

    Args:
        device: Where they are kept.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__(layers=[])
        self._device = device
        self._rows = 0
        self._capacity = _ROUND
        self._slabs: dict[tuple[int, bool], Tensor] = {}
        self._rows_at = self._places = torch.empty(0, dtype=torch.long)
        self._select: Tensor | None = None
        self._width = 0

    def add(self, rows: int) -> None:
        """Add empty rows."""
        self._rows += rows
        self._slabs = {key: functional.pad(slab, (0, 0) * 3 + (0, rows)) for key, slab in self._slabs.items()}

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all rows but these, in this order."""
        chosen = torch.tensor(rows, dtype=torch.long, device=self._device)
        self._slabs = {key: slab[chosen] for key, slab in self._slabs.items()}
        self._rows = len(rows)

    def at(self, places: Tensor, select: Tensor | None, width: int) -> None:
        """Say where the next forward pass writes (-1: nowhere), in which rows, and how many positions it sees."""
        if width + 1 > self._capacity:
            grown = -(-max(width + 1, self._capacity * 3 // 2) // _ROUND) * _ROUND
            more = (0, 0, 0, grown - self._capacity)
            self._slabs = {key: functional.pad(slab, more) for key, slab in self._slabs.items()}
            self._capacity = grown
        self._places = torch.where(places < 0, self._capacity - 1, places)
        rows = torch.arange(self._rows, device=self._device) if select is None else select
        self._rows_at, self._select, self._width = rows[:, None], select, width

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write the new keys and values of a layer and return all that the pass may see."""
        return self._write(key_states, (layer_idx, False)), self._write(value_states, (layer_idx, True))

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return how many positions the present pass sees."""
        return self._width

    def _write(self, states: Tensor, key: tuple[int, bool]) -> Tensor:
        if key not in self._slabs:
            self._slabs[key] = states.new_zeros((self._rows, states.shape[1], self._capacity, states.shape[3]))
        slab = self._slabs[key]
        slab[self._rows_at, :, self._places] = states.transpose(1, 2)
        seen = slab[:, :, : self._width]
        return seen if self._select is None else seen[self._select]


class Session:
    """Conversations that a model is in the middle of.

    Args:
        model: A causal language model, within `evaluating(model)`.
        stop_ids: Tokens that end a turn.
        sampling: How tokens are drawn, and limits.
        rows: Conversations in the cache at a time; the others wait.
    """

    def __init__(self, model: PreTrainedModel, stop_ids: Iterable[int], sampling: Sampling, rows: int) -> None:
        self._model = model
        self._stop_ids = frozenset(stop_ids)
        self._sampling = sampling
        self._limit = rows
        self._waiting: deque[_Row] = deque()
        self._rows: dict[int, _Row] = {}
        self._slots: list[_Row | None] = []
        self._cache = RowCache(model.device)

    def start(self, index: int, prompt: Sequence[int], rng: random.Random) -> None:
        """Begin a conversation, whose next turn is the model's.

        Args:
            index: Names the conversation.
            prompt: Its tokens so far, at least one.
            rng: The conversation's random stream.
        """
        self._waiting.append(_Row(index, list(prompt), rng))

    def extend(self, index: int, suffix: Sequence[int], rng: random.Random | None = None) -> bool:
        """Continue a conversation after a turn of the model, whose next turn is the model's again.

        Args:
            index: The conversation.
            suffix: The tokens between the two turns.
            rng: A new random stream, if it shall change.

        Returns:
            False if the limit of the context leaves no room; the conversation is then dropped.
        """
        row = self._rows[index]
        if row.length + 1 + len(suffix) >= self._sampling.context:
            self.drop(index)
            return False
        row.pending.extend(suffix)
        row.resting = False
        row.rng = rng or row.rng
        return True

    def drop(self, index: int) -> None:
        """Forget a conversation."""
        row = self._rows.pop(index)
        self._slots[self._slots.index(row)] = None

    @property
    def busy(self) -> bool:
        """Whether any conversation is at the model's turn, and has a row or can be given one."""
        admissible = bool(self._waiting) and len(self._rows) < self._limit
        return admissible or any(not row.resting for row in self._rows.values())

    def step(self) -> list[SampledTurn]:
        """Write one token in each conversation at the model's turn, or read what is new in some; return ended turns."""
        self._admit()
        live = [slot for slot, row in enumerate(self._slots) if row is not None and not row.resting]
        reading = [slot for slot in live if len(self._at(slot).pending) > 1]
        if reading and len(reading) * 5 >= len(live):
            return [turn for group in self._groups(reading) for turn in self._accept(group, self._read(group))]
        if not self._waiting and len(self._rows) * 5 <= len(self._slots) * 3:
            self._compact()
            return []
        writing = [slot for slot in live if len(self._at(slot).pending) == 1]
        return self._accept(writing, self._write(writing))

    def _at(self, slot: int) -> _Row:
        row = self._slots[slot]
        assert row is not None
        return row

    def _admit(self) -> None:
        """Give free rows of the cache to waiting conversations."""
        free = [slot for slot, row in enumerate(self._slots) if row is None]
        missing = min(len(self._waiting), self._limit - len(self._rows)) - len(free)
        if missing > 0:
            free += range(len(self._slots), len(self._slots) + missing)
            self._slots += [None] * missing
            self._cache.add(missing)
        for slot in free[: len(self._waiting)]:
            row = self._waiting.popleft()
            self._slots[slot] = self._rows[row.index] = row

    def _compact(self) -> None:
        kept = [slot for slot, row in enumerate(self._slots) if row is not None]
        self._cache.keep(kept)
        self._slots = [self._slots[slot] for slot in kept]

    def _groups(self, slots: list[int]) -> Iterator[list[int]]:
        """Split rows into groups of similar length, so that little of a batch is padding."""
        group: list[int] = []
        total = 0
        for slot in sorted(slots, key=lambda slot: len(self._at(slot).pending)):
            size = len(self._at(slot).pending)
            padded = size * (len(group) + 1)
            if group and (padded > _READ_TOKENS or padded > 1.5 * (total + size) + 256):
                yield group
                group, total = [], 0
            group.append(slot)
            total += size
        yield group

    def _read(self, group: list[int]) -> Tensor:
        """Feed all pending tokens of some rows, padded on the left, and return the logits after the last one."""
        rows = [self._at(slot) for slot in group]
        longest = max(len(row.pending) for row in rows)
        ids = torch.zeros((len(rows), longest), dtype=torch.long)
        places = torch.full((len(rows), longest), -1, dtype=torch.long)
        for number, row in enumerate(rows):
            count = len(row.pending)
            ids[number, -count:] = torch.tensor(row.pending)
            places[number, -count:] = torch.arange(row.length, row.length + count)
            row.length += count
        return self._forward(ids, places, torch.tensor(group))

    def _write(self, slots: list[int]) -> Tensor:
        """Feed one token of each writing row; the other rows take part with a token that leaves no trace."""
        ids = torch.zeros((len(self._slots), 1), dtype=torch.long)
        places = torch.full((len(self._slots), 1), -1, dtype=torch.long)
        for slot in slots:
            row = self._at(slot)
            ids[slot, 0], places[slot, 0] = row.pending[0], row.length
            row.length += 1
        logits = self._forward(ids, places, None)
        return logits if len(slots) == len(self._slots) else logits[torch.tensor(slots)]

    def _forward(self, ids: Tensor, places: Tensor, select: Tensor | None) -> Tensor:
        device = self._model.device
        positions = places.clamp(min=0).to(device)
        width = int(places.max()) + 1
        self._cache.at(places.to(device), None if select is None else select.to(device), width)
        seen = torch.arange(width, device=device) <= positions[:, :, None]
        output = self._model(
            input_ids=ids.to(device),
            attention_mask=seen[:, None],
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[:, -1]
        return logits

    def _accept(self, slots: list[int], logits: Tensor) -> list[SampledTurn]:
        """Draw the next token of each row; return the turns that end with it."""
        uniform = [self._at(slot).rng.random() for slot in slots]
        tokens, logprobs = _draw(logits.float(), uniform, self._sampling)
        ended = []
        for number, slot in enumerate(slots):
            row = self._at(slot)
            row.turn.append(tokens[number])
            row.pending = [tokens[number]]
            if logprobs is not None:
                row.logprobs.append(logprobs[number])
            complete = tokens[number] in self._stop_ids
            full = len(row.turn) >= self._sampling.turn_tokens or row.length + 1 >= self._sampling.context
            if complete or full:
                ended.append(
                    SampledTurn(row.index, row.turn, complete, row.logprobs if self._sampling.logprobs else None)
                )
                row.turn, row.logprobs, row.resting = [], [], True
        return ended


class GenerationEngine:
    """Plays many conversations with one model.

    Args:
        model: A causal language model; used in evaluation mode, without gradients.
        stop_ids: Tokens that end a turn.
        sampling: How tokens are drawn, and limits.
        rows: Conversations in the cache at a time; the others wait.
    """

    def __init__(
        self, model: PreTrainedModel, stop_ids: Iterable[int], sampling: Sampling | None = None, rows: int = 64
    ) -> None:
        self._model = model
        self._stop_ids = frozenset(stop_ids)
        self._sampling = sampling or Sampling()
        self._rows = rows

    @property
    def context(self) -> int:
        """The most tokens of a conversation."""
        return self._sampling.context

    def session(self) -> Session:
        """Return an empty session, to be used within `evaluating(model)`."""
        return Session(self._model, self._stop_ids, self._sampling, self._rows)

    def run(self, prompts: Sequence[Sequence[int]], seeds: Sequence[str], advance: Advance) -> None:
        """Play conversations to their ends.

        Args:
            prompts: Tokens of each conversation up to the model's first turn, at least one.
            seeds: Seed of each conversation's random stream.
            advance: Called with the turns that have just ended; gives the tokens that follow.
        """
        with evaluating(self._model):
            session = self._begun(prompts, seeds)
            while session.busy:
                turns = session.step()
                for turn, suffix in zip(turns, advance(turns) if turns else (), strict=True):
                    _go_on(session, turn.index, suffix)

    def run_beside(self, prompts: Sequence[Sequence[int]], seeds: Sequence[str], partner: Partner) -> None:
        """Play conversations to their ends, going on with some while others are answered.

        Args:
            prompts: Tokens of each conversation up to the model's first turn, at least one.
            seeds: Seed of each conversation's random stream.
            partner: Answers turns.
        """
        with evaluating(self._model):
            session = self._begun(prompts, seeds)
            asked = 0
            while session.busy or asked:
                turns = session.step() if session.busy else []
                partner.ask(turns)
                asked += len(turns)
                for index, suffix in partner.answers(idle=not session.busy) if asked else ():
                    asked -= 1
                    _go_on(session, index, suffix)

    def _begun(self, prompts: Sequence[Sequence[int]], seeds: Sequence[str]) -> Session:
        session = self.session()
        for index, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True)):
            session.start(index, prompt, random.Random(seed))
        return session


def _go_on(session: Session, index: int, suffix: Sequence[int] | None) -> None:
    if suffix is None:
        session.drop(index)
    else:
        session.extend(index, suffix)


def _draw(logits: Tensor, uniform: list[float], sampling: Sampling) -> tuple[list[int], list[float] | None]:
    """Draw one token a row by inverting the cumulative distribution at a given uniform number."""
    if sampling.temperature == 0.0:
        tokens = logits.argmax(-1)
        probabilities = torch.softmax(logits, -1) if sampling.logprobs else None
    else:
        probabilities = torch.softmax(logits / sampling.temperature, -1)
        if sampling.top_p < 1.0:
            probabilities = _nucleus(probabilities, sampling.top_p)
        cumulative = probabilities.double().cumsum(-1)
        points = torch.tensor(uniform, dtype=torch.double, device=logits.device) * cumulative[:, -1]
        tokens = torch.searchsorted(cumulative, points[:, None], right=True)[:, 0]
        tokens = tokens.clamp(max=logits.shape[-1] - 1)
    if not sampling.logprobs or probabilities is None:
        return tokens.tolist(), None
    return tokens.tolist(), probabilities.gather(-1, tokens[:, None])[:, 0].log().tolist()


def _nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """Set all but the most likely tokens, which together reach `top_p`, to zero, and normalise."""
    ordered, order = probabilities.sort(-1, descending=True)
    outside = ordered.cumsum(-1) - ordered >= top_p
    kept = probabilities.masked_fill(outside.scatter(-1, order, outside), 0.0)
    return kept / kept.sum(-1, keepdim=True)


def _row_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend without repeating shared keys and values: that would copy the whole cache for each token."""
    shared = key.shape[1] != query.shape[1]
    mixed = functional.scaled_dot_product_attention(
        query, key, value, attn_mask=attention_mask, scale=scaling, enable_gqa=shared
    )
    return mixed.transpose(1, 2), None


@contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Switch a model to evaluation mode without gradients and to the attention of `RowCache`, and back."""
    AttentionInterface.register(_ATTENTION, _row_attention)
    config = model.config.get_text_config()
    training, implementation = model.training, config._attn_implementation
    model.eval()
    config._attn_implementation = _ATTENTION
    try:
        with torch.inference_mode():
            yield
    finally:
        config._attn_implementation = implementation
        model.train(training)
