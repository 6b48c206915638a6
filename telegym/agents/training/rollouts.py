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
from telegym.core.errors import TeleGymError

if TYPE_CHECKING:
    from telegym.agents.generation import GenerationEngine, SampledTurn

__all__ = ["OnEnd", "Player", "Transcript", "branch_of", "play"]


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
    situations: list[str] = field(default_factory=list)
    """Digest of the world's situation before the first turn and after each turn, if it was watched."""
    parent: Transcript | None = None
    """The transcript it branches off from, whose tokens up to there are not learnt from here."""
    forked_at: int = 0
    """The first turn that is not the parent's, from 0."""

    @property
    def sampled(self) -> int:
        """How many tokens the model sampled."""
        return sum(self.mask)


def branch_of(parent: Transcript, turn: int) -> Transcript:
    """Return another continuation of a transcript, to be played: same world, same tokens before the turn.

    Args:
        parent: A transcript that was played.
        turn: The first turn that is played anew, from 0; the parent has played it.

    Raises:
        TeleGymError: If the episode has not played so many turns, or comes out otherwise when it is played again.
    """
    episode = parent.episode.fork(turn)
    before = episode.agent_messages()
    if before != parent.episode.agent_messages()[: len(before)]:
        raise TeleGymError(
            f"the episode of task {episode.task.id!r} comes out otherwise when played again up to turn {turn}; "
            "record it (`record=True`), or branch with users and tools that answer in the same way"
        )
    end = parent.turns[turn][0]
    return Transcript(
        episode,
        parent.prompt,
        parent.completion[:end],
        [0] * end,
        parent.logprobs[:end],
        parent.turns[:turn],
        parent.components[: turn + 1],
        parent.situations[: turn + 1],
        parent,
        turn,
    )


OnEnd = Callable[[Transcript], None]


class Player:
    """Answers the turns of a model with what the episodes say.

    Args:
        codec: Turns episodes into tokens.
        episodes: What is played, from the start or (`branch_of`) from a later turn; none has ended.
        completion_tokens: The most tokens after the prompt; an episode that would need more is cut off.
        on_end: Hears of each episode that has ended.
        watch: Whether to score each episode after every turn.
        situations: Whether to note the world's situation after every turn.
    """

    def __init__(
        self,
        codec: ChatCodec,
        episodes: Sequence[Episode | Transcript],
        completion_tokens: int,
        on_end: OnEnd | None = None,
        watch: bool = False,
        situations: bool = False,
    ) -> None:
        self.transcripts = [
            item if isinstance(item, Transcript) else Transcript(item, codec.prompt(item)) for item in episodes
        ]
        self._codec = codec
        self._limit = completion_tokens
        self._on_end = on_end
        self._watch = watch
        self._situations = situations
        for transcript in self.transcripts:
            if transcript.parent is None:
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
        if self._situations:
            transcript.situations.append(transcript.episode.world.situation())


def play(
    engine: GenerationEngine,
    codec: ChatCodec,
    episodes: Sequence[Episode | Transcript],
    seeds: Sequence[str],
    completion_tokens: int,
    on_end: OnEnd | None = None,
    watch: bool = False,
    situations: bool = False,
) -> list[Transcript]:
    """Play episodes with one model to their ends.

    Args:
        engine: Samples; its context must hold prompt and completion.
        codec: Turns episodes into tokens.
        episodes: What is played, from the start or (`branch_of`) from a later turn.
        seeds: Seed of each episode's sampling.
        completion_tokens: The most tokens after the prompt.
        on_end: Hears of each episode that has ended.
        watch: Whether to score each episode after every turn.
        situations: Whether to note the world's situation after every turn.
    """
    player = Player(codec, episodes, completion_tokens, on_end, watch, situations)
    begun = [transcript.prompt + transcript.completion for transcript in player.transcripts]
    engine.run(begun, seeds, player.advance)
    return player.transcripts


def _append(transcript: Transcript, ids: Sequence[int], sampled: int, logprobs: Sequence[float] | None) -> None:
    transcript.completion.extend(ids)
    transcript.mask.extend([sampled] * len(ids))
    transcript.logprobs.extend(logprobs[: len(ids)] if logprobs is not None else [0.0] * len(ids))
