"""One episode, played turn by turn with any engine that turns tokens into tokens.

The tokens are those of TeleGym's own trainer: the same codec, the same transcript.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from telegym.agents.generation import SampledTurn
from telegym.agents.prompting import ChatCodec
from telegym.agents.training.rollouts import Player, Transcript
from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError

__all__ = ["Generate", "Played", "Sampled", "play_one"]


class Sampled(NamedTuple):
    """A turn as an engine sampled it."""

    ids: Sequence[int]
    """Its tokens, with the end token if it came to that."""
    logprobs: Sequence[float] | None = None
    """Log-probability of each token, in nats, if asked for."""


Generate = Callable[[list[int], int], Awaitable[Sampled]]
"""From all tokens so far, and the most tokens to sample, to a turn."""


@dataclass(frozen=True, slots=True)
class Played:
    """An episode played to its end."""

    transcript: Transcript
    """Its tokens."""
    generation_seconds: float
    """Time in the engine."""
    environment_seconds: float
    """Time in tools and simulated users."""


async def play_one(
    codec: ChatCodec,
    episode: Episode,
    generate: Generate,
    *,
    turn_tokens: int,
    prompt_tokens: int,
    completion_tokens: int,
    context: int,
) -> Played:
    """Play an episode to its end. Tools and users run in a thread, so that other episodes go on.

    Args:
        codec: Turns the episode into tokens.
        episode: A fresh episode.
        generate: Samples.
        turn_tokens: The most tokens of a turn.
        prompt_tokens: The most tokens before the first turn.
        completion_tokens: The most tokens after that, tool results included.
        context: The most tokens of all.

    Raises:
        ConfigurationError: If the prompt is too long.
    """
    loop = asyncio.get_running_loop()
    player = await loop.run_in_executor(None, partial(Player, codec, [episode], completion_tokens, context=context))
    (transcript,) = player.transcripts
    if len(transcript.prompt) > min(prompt_tokens, context - 1):
        raise ConfigurationError(
            f"the prompt of task {episode.task.id!r} has {len(transcript.prompt)} tokens, more than the "
            f"{min(prompt_tokens, context - 1)} there is room for; raise data.max_prompt_length"
        )
    spent = [0.0, 0.0]
    over = False
    while not over:
        started = time.perf_counter()
        history = transcript.prompt + transcript.completion
        room = min(turn_tokens, completion_tokens - len(transcript.completion), context - len(history))
        sampled = await generate(history, room)
        sampling = time.perf_counter()
        (suffix,) = await loop.run_in_executor(None, player.advance, [_turn(codec, sampled, room)])
        over = suffix is None
        spent = [spent[0] + sampling - started, spent[1] + time.perf_counter() - sampling]
    return Played(transcript, *spent)


def _turn(codec: ChatCodec, sampled: Sampled, room: int) -> SampledTurn:
    ids = list(sampled.ids[:room])
    complete = bool(ids) and ids[-1] in codec.stop_ids
    return SampledTurn(0, ids, complete, None if sampled.logprobs is None else list(sampled.logprobs[: len(ids)]))
