"""Rollout: many episodes at once, one batch for the agent per turn.

A slot whose episode has ended takes the next one, so the batch stays full until nothing is left. Results come in the
order asked for, whatever the batch size: agents draw their chance from the episode, never from the batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from telegym.agents.base import Action, Agent
from telegym.core.environment import Environment
from telegym.core.episode import EndReason, Episode, Limits
from telegym.core.errors import InfrastructureError
from telegym.core.score import Failure
from telegym.core.task import Task
from telegym.core.trajectory import TrajectoryWriter

__all__ = ["Progress", "play_episodes", "rollout"]

DEFAULT_BATCH_SIZE = 32


@dataclass(frozen=True, slots=True)
class Progress:
    """What a progress callback is told, once a turn."""

    done: int
    """Episodes that have ended."""
    active: int
    """Episodes being played."""
    total: int | None
    """Episodes in all, or None if unknown."""
    turns: int
    """Agent batches so far."""
    ended: tuple[Episode, ...]
    """Episodes that ended in this turn."""


OnProgress = Callable[[Progress], None]


def rollout(
    environment: Environment,
    tasks: Iterable[Task],
    agent: Agent,
    *,
    seeds: Sequence[int] = (0,),
    limits: Limits | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
    record: bool = True,
    write_to: str | Path | None = None,
    on_progress: OnProgress | None = None,
) -> list[Episode]:
    """Play every task once for each seed.

    Where users are not deterministic, which is to say models behind a network, the episodes of a batch take their turns
    in threads of their own, so that no user waits for another.

    Args:
        environment: The environment of the tasks.
        tasks: What is played.
        agent: Who plays.
        seeds: Episode seeds; each task is played once with each.
        limits: Limits of an episode; None takes the environment's.
        batch_size: How many episodes are played at once. It changes speed, not results.
        record: Whether episodes keep the state marks and checkpoints by which trajectories can be verified.
        write_to: A file to which the trajectories are appended (JSON Lines), in the order of the result.
        on_progress: Called after every turn.

    Returns:
        The ended episodes: those of the first task in the order of `seeds`, those of the second, and so on.
    """
    pairs = [(task, seed) for task in tasks for seed in seeds]
    makers = (partial(Episode, environment, task, seed, limits, record=record) for task, seed in pairs)
    user = environment.user(*pairs[0]) if pairs else None
    threads = batch_size if user is not None and not user.deterministic else 1
    return _play(makers, agent, batch_size, threads, write_to, len(pairs), on_progress)


def play_episodes(
    episodes: Iterable[Episode],
    agent: Agent,
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
    threads: int = 1,
    write_to: str | Path | None = None,
    total: int | None = None,
    on_progress: OnProgress | None = None,
) -> list[Episode]:
    """Play given episodes, fresh or forked in mid-play, to their ends.

    Args:
        episodes: The episodes; an iterator is asked for the next one only when a slot is free.
        agent: Who plays.
        batch_size: How many are played at once.
        threads: How many take their turn at once: more than one is for users that wait for a network.
        write_to: A file to which the trajectories are appended (JSON Lines), in the order of `episodes`.
        total: How many there are, for the progress; None if unknown.
        on_progress: Called after every turn.

    Returns:
        The ended episodes in the given order.

    Raises:
        ValueError: If `batch_size` is not positive, or the agent returns another number of actions than asked for.
    """
    makers = (partial(_same, episode) for episode in episodes)
    return _play(makers, agent, batch_size, threads, write_to, total, on_progress)


def _same(episode: Episode) -> Episode:
    return episode


def _play(
    makers: Iterator[Callable[[], Episode]],
    agent: Agent,
    batch_size: int,
    threads: int,
    write_to: str | Path | None,
    total: int | None,
    on_progress: OnProgress | None,
) -> list[Episode]:
    for name, value in (("batch_size", batch_size), ("threads", threads)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    with ExitStack() as stack:
        writer = stack.enter_context(TrajectoryWriter(write_to)) if write_to is not None else None
        pool = stack.enter_context(ThreadPoolExecutor(threads, "telegym-episode")) if threads > 1 else None
        play = _Play(makers, agent, batch_size, writer, pool)
        while play.fill():
            ended = play.turn()
            if on_progress is not None:
                on_progress(Progress(play.done, len(play.active), total, play.turns, ended))
    return play.episodes


class _Play:
    """The state of one rollout."""

    def __init__(
        self,
        makers: Iterator[Callable[[], Episode]],
        agent: Agent,
        batch_size: int,
        writer: TrajectoryWriter | None,
        pool: ThreadPoolExecutor | None,
    ) -> None:
        self.episodes: list[Episode] = []
        self.active: list[Episode] = []
        self.turns = 0
        self._makers = makers
        self._agent = agent
        self._batch_size = batch_size
        self._writer = writer
        self._map = pool.map if pool is not None else map
        self._unwritten: deque[Episode] = deque()

    @property
    def done(self) -> int:
        return len(self.episodes) - len(self.active)

    def fill(self) -> bool:
        """Fill the free slots; return whether there is anything to play."""
        while len(self.active) < self._batch_size:
            fresh = self._take(self._batch_size - len(self.active))
            if not fresh:
                break
            self._agent.begin(fresh)
            self.active += [episode for episode in fresh if not episode.done]
            self._close([episode for episode in fresh if episode.done])
        return bool(self.active)

    def _take(self, count: int) -> list[Episode]:
        fresh = list(self._map(_call, islice(self._makers, count)))
        self.episodes += fresh
        self._unwritten.extend(fresh)
        return fresh

    def turn(self) -> tuple[Episode, ...]:
        """Play one turn of every active episode and return those that ended."""
        deque(self._map(_apply, self.active, self._actions()), maxlen=0)
        self.turns += 1
        ended = [episode for episode in self.active if episode.done]
        self.active = [episode for episode in self.active if not episode.done]
        self._close(ended)
        return tuple(ended)

    def _actions(self) -> list[Action]:
        try:
            actions = self._agent.act(tuple(self.active))
        except InfrastructureError as error:
            return [Failure(party="infrastructure", message=str(error))] * len(self.active)
        if len(actions) != len(self.active):
            raise ValueError(f"agent {self._agent.name!r} gave {len(actions)} actions for {len(self.active)} episodes")
        return actions

    def _close(self, ended: list[Episode]) -> None:
        if ended:
            self._agent.finish(ended)
        while self._unwritten and self._unwritten[0].done:
            episode = self._unwritten.popleft()
            if self._writer is not None:
                self._writer.write(episode.trajectory(self._agent.name))


def _call(maker: Callable[[], Episode]) -> Episode:
    return maker()


def _apply(episode: Episode, action: Action) -> None:
    if episode.done:
        return
    if isinstance(action, Failure):
        episode.truncate(EndReason.INFRASTRUCTURE, action)
    else:
        episode.step(action)
