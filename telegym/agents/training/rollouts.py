"""Episodes as tokens: what the trainer learns from and what an evaluation plays.

A `Transcript` grows by what the model sampled (learnt from) and by what the episode answered (not learnt from). The
episode decides when it is over; the transcript only knows the limits of the context.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from telegym.agents.prompting import ChatCodec
from telegym.core.episode import EndReason, Episode

if TYPE_CHECKING:
    from telegym.agents.generation import GenerationEngine, SampledTurn

__all__ = ["OnEnd", "Player", "Transcript", "play"]


@dataclass(slots=True)
class Transcript:
    """One episode and its tokens."""

    episode: Episode
    """The episode."""
    prompt: list[int]
    """Tokens before the first turn of the model."""
    completion: list[int] = field(default_factory=list)
    """All tokens after the prompt, up to the end of the model's last turn."""
    mask: list[int] = field(default_factory=list)
    """1 for each token of the completion that the model sampled, 0 for the others."""
    logprobs: list[float] = field(default_factory=list)
    """Log-probability of each sampled token (0.0 for the others), where the sampler gave it."""

    turns: list[tuple[int, int]] = field(default_factory=list)
    """Where each turn of the model begins and ends in the completion."""
    components: list[dict[str, float]] = field(default_factory=list)
    """Components of the score before the first turn and after each turn, if they were watched."""

    @property
    def sampled(self) -> int:
        """How many tokens the model sampled."""
        return sum(self.mask)


OnEnd = Callable[[Transcript], None]


class Player:
    """Answers the turns of a model with what the episodes say.

    Args:
        codec: Turns episodes into tokens.
        episodes: What is played; none has ended.
        completion_tokens: The most tokens after the prompt; an episode that would need more is cut off.
        on_end: Hears of each episode that has ended.
        watch: Whether to score each episode after every turn.
    """

    def __init__(
        self,
        codec: ChatCodec,
        episodes: Sequence[Episode],
        completion_tokens: int,
        on_end: OnEnd | None = None,
        watch: bool = False,
    ) -> None:
        self.transcripts = [Transcript(episode, codec.prompt(episode)) for episode in episodes]
        self._codec = codec
        self._limit = completion_tokens
        self._on_end = on_end
        self._watch = watch
        for transcript in self.transcripts:
            self._look(transcript)

    def advance(self, turns: Sequence[SampledTurn]) -> list[list[int] | None]:
        """Play ended turns; return the tokens up to the next turn of each, or None where the episode is over."""
        return [self._advance(turn) for turn in turns]

    def _advance(self, turn: SampledTurn) -> list[int] | None:
        transcript = self.transcripts[turn.index]
        room = self._limit - len(transcript.completion)
        ids, cut = turn.ids[:room], len(turn.ids) > room or not turn.complete
        transcript.turns.append((len(transcript.completion), len(transcript.completion) + len(ids)))
        _append(transcript, ids, 1, turn.logprobs)
        suffix = None if cut else self._answer(transcript, ids)
        if suffix is None or len(transcript.completion) + len(suffix) >= self._limit:
            if not transcript.episode.done:
                transcript.episode.truncate(EndReason.TOKEN_LIMIT)
            if self._on_end is not None:
                self._on_end(transcript)
            return None
        _append(transcript, suffix, 0, None)
        return suffix

    def _answer(self, transcript: Transcript, ids: list[int]) -> list[int] | None:
        messages = transcript.episode.step(self._codec.text(ids))
        self._look(transcript)
        return None if transcript.episode.done else self._codec.suffix(messages)

    def _look(self, transcript: Transcript) -> None:
        if self._watch:
            transcript.components.append(transcript.episode.score().components)


def play(
    engine: GenerationEngine,
    codec: ChatCodec,
    episodes: Sequence[Episode],
    seeds: Sequence[str],
    completion_tokens: int,
    on_end: OnEnd | None = None,
    watch: bool = False,
) -> list[Transcript]:
    """Play episodes with one model to their ends.

    Args:
        engine: Samples; its context must hold prompt and completion.
        codec: Turns episodes into tokens.
        episodes: What is played.
        seeds: Seed of each episode's sampling.
        completion_tokens: The most tokens after the prompt.
        on_end: Hears of each episode that has ended.
        watch: Whether to score each episode after every turn.
    """
    player = Player(codec, episodes, completion_tokens, on_end, watch)
    engine.run([transcript.prompt for transcript in player.transcripts], seeds, player.advance)
    return player.transcripts


def _append(transcript: Transcript, ids: Sequence[int], sampled: int, logprobs: Sequence[float] | None) -> None:
    transcript.completion.extend(ids)
    transcript.mask.extend([sampled] * len(ids))
    transcript.logprobs.extend(logprobs[: len(ids)] if logprobs is not None else [0.0] * len(ids))
