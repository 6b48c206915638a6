"""Episodes as tokens: what the trainer learns from and what an evaluation plays.

A `Transcript` grows by what the model sampled (learnt from) and by what the episode answered (not learnt from). The
episode decides when it is over; the transcript only knows the limits of the context.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from telegym.agents.prompting import ChatCodec
from telegym.agents.training.hands import Hands, ToolOrder, first_of
from telegym.agents.training.timing import StepClock
from telegym.core.episode import EndReason, Episode
from telegym.core.errors import TeleGymError
from telegym.core.messages import Message

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

    def sampled_logprobs(self) -> list[float]:
        """Return the log-probabilities of the sampled tokens, without those that the sampler could not tell."""
        pairs = zip(self.logprobs, self.mask, strict=True)
        return [value for value, sampled in pairs if sampled and value is not None and math.isfinite(value)]


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
        context: The most tokens of prompt and completion together; an episode that would need more is cut off.
        hands: Plays the turns; by default one after the other.
        clock: Measures what the environment takes.
    """

    def __init__(
        self,
        codec: ChatCodec,
        episodes: Sequence[Episode | Transcript],
        completion_tokens: int,
        on_end: OnEnd | None = None,
        watch: bool = False,
        situations: bool = False,
        context: int | None = None,
        hands: Hands | None = None,
        clock: StepClock | None = None,
    ) -> None:
        self._clock = clock or StepClock()
        with self._clock.phase("environment"):
            self.transcripts = [
                item if isinstance(item, Transcript) else Transcript(item, codec.prompt(item)) for item in episodes
            ]
        self._codec = codec
        self._completion_tokens = completion_tokens
        self._context = context
        self._on_end = on_end
        self._watch = watch
        self._situations = situations
        self._hands = hands or Hands()
        self._begun: dict[int, Future[list[Message]] | None] = {}
        self._over: set[int] = set()
        for transcript in self.transcripts:
            if transcript.parent is None:
                self._look(transcript)

    def advance(self, turns: Sequence[SampledTurn]) -> list[list[int] | None]:
        """Play ended turns; return the tokens up to the next turn of each, or None where the episode is over."""
        self.begin(turns)
        return [self.finish(turn.index) for turn in turns]

    def begin(self, turns: Sequence[SampledTurn]) -> None:
        """Have ended turns played, each to be taken up with `finish`."""
        with self._clock.phase("environment"):
            for turn in turns:
                self._begun[turn.index] = self._begin(turn)

    def pending(self, *, played: bool = False) -> list[int]:
        """Return which episodes have a turn to be taken up, in a fixed order; by request only what can be at once."""
        return sorted(index for index, job in self._begun.items() if not played or job is None or job.done())

    def wait(self) -> None:
        """Wait until one of the turns begun has been played."""
        with self._clock.phase("environment"):
            first_of([job for job in self._begun.values() if job is not None])

    def finish(self, index: int) -> list[int] | None:
        """Return the tokens up to the next turn of an episode, or None where it is over; wait for its tools."""
        transcript, job = self.transcripts[index], self._begun.pop(index)
        with self._clock.phase("environment"):
            suffix = None if job is None else self._taken(transcript, job.result())
            if suffix is None or len(transcript.completion) + len(suffix) >= self._limit(transcript):
                self._end(index)
                return None
            _append(transcript, suffix, 0, None)
            return suffix

    def close(self) -> None:
        """Cut off the episodes that the model gave up without an end."""
        for index in range(len(self.transcripts)):
            if index not in self._over:
                self._end(index)

    def _begin(self, turn: SampledTurn) -> Future[list[Message]] | None:
        """Append a turn and have it played, unless it was cut."""
        transcript = self.transcripts[turn.index]
        room = max(0, self._limit(transcript) - len(transcript.completion))
        ids, cut = turn.ids[:room], len(turn.ids) > room or not turn.complete
        transcript.turns.append((len(transcript.completion), len(transcript.completion) + len(ids)))
        _append(transcript, ids, 1, turn.logprobs)
        self._clock.count(len(ids))
        if cut:
            return None
        text, episode = self._codec.text(ids), transcript.episode
        return self._hands.give(lambda: episode.step(text))

    def _limit(self, transcript: Transcript) -> int:
        """Return the most tokens after a prompt."""
        if self._context is None:
            return self._completion_tokens
        return min(self._completion_tokens, self._context - len(transcript.prompt))

    def _taken(self, transcript: Transcript, messages: Sequence[Message]) -> list[int] | None:
        self._look(transcript)
        return None if transcript.episode.done else self._codec.suffix(messages)

    def _end(self, index: int) -> None:
        transcript = self.transcripts[index]
        self._over.add(index)
        if not transcript.episode.done:
            transcript.episode.truncate(EndReason.TOKEN_LIMIT)
        if self._on_end is not None:
            self._on_end(transcript)

    def _look(self, transcript: Transcript) -> None:
        with self._clock.phase("reward"):
            if self._watch:
                transcript.components.append(transcript.episode.score().components)
            if self._situations:
                transcript.situations.append(transcript.episode.world.situation())


class _Overlapping:
    """Lets generation go on while episodes play."""

    def __init__(self, player: Player, order: ToolOrder) -> None:
        self._player = player
        self._free = order == "free"

    def ask(self, turns: Sequence[SampledTurn]) -> None:
        self._player.begin(turns)

    def answers(self, *, idle: bool) -> list[tuple[int, list[int] | None]]:
        if self._free and idle:
            self._player.wait()
        places = self._player.pending(played=self._free) if self._free or idle else []
        return [(index, self._player.finish(index)) for index in places]


def play(
    engine: GenerationEngine,
    codec: ChatCodec,
    episodes: Sequence[Episode | Transcript],
    seeds: Sequence[str],
    completion_tokens: int,
    on_end: OnEnd | None = None,
    watch: bool = False,
    situations: bool = False,
    threads: int = 0,
    order: ToolOrder = "fixed",
    clock: StepClock | None = None,
) -> list[Transcript]:
    """Play episodes with one model to their ends.

    Args:
        engine: Samples; an episode that does not fit into its context is cut off.
        codec: Turns episodes into tokens.
        episodes: What is played, from the start or (`branch_of`) from a later turn.
        seeds: Seed of each episode's sampling.
        completion_tokens: The most tokens after the prompt.
        on_end: Hears of each episode that has ended.
        watch: Whether to score each episode after every turn.
        situations: Whether to note the world's situation after every turn.
        threads: In how many threads turns are played, beside generation; up to 1 means in this one, between its steps.
        order: When an episode goes on whose turn was played in a thread.
        clock: Measures generation and environment.
    """
    clock = clock or StepClock()
    with clock.phase("generation"), Hands(threads) as hands:
        player = Player(codec, episodes, completion_tokens, on_end, watch, situations, engine.context, hands, clock)
        begun = [transcript.prompt + transcript.completion for transcript in player.transcripts]
        if threads > 1:
            engine.run_beside(begun, seeds, _Overlapping(player, order))
        else:
            engine.run(begun, seeds, player.advance)
        player.close()
    return player.transcripts


def _append(transcript: Transcript, ids: Sequence[int], sampled: int, logprobs: Sequence[float] | None) -> None:
    transcript.completion.extend(ids)
    transcript.mask.extend([sampled] * len(ids))
    transcript.logprobs.extend(logprobs[: len(ids)] if logprobs is not None else [0.0] * len(ids))
