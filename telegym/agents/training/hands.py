"""Hands: turns of many episodes played at once, for tools, users and worlds that keep one waiting.

Every job belongs to one episode, and an episode has one job at a time, so worlds need not be safe to use from several
threads; what episodes of an environment share has to be. Results are taken in the order in which jobs were given, so
nothing depends on which is done first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self, TypeVar

__all__ = ["MOST_THREADS", "Hands", "Overlap", "ToolOrder", "first_of"]

ToolOrder = Literal["fixed", "free"]
"""When a rollout goes on whose tools run in threads: `fixed`, when the tools of all have answered; `free`, when its own
have. With `free` it depends on the time tools take which rollouts share a batch of generation, and so how sampling is
rounded."""

Result = TypeVar("Result")

MOST_THREADS = 32
"""In how many threads turns are played where the recipe leaves it open and the environment waits."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """What of a step is done at once."""

    threads: int = 0
    """In how many threads turns of different episodes are played; up to 1: one after the other."""
    order: ToolOrder = "fixed"
    """When an episode goes on whose turn was played in a thread."""
    judge: bool = True
    """Whether rewards that wait for others are asked while episodes are still being played."""
    judge_seconds: float | None = None
    """How long they are waited for after the last episode has ended; None: as long as their own limits."""


class Hands:
    """Does jobs: each at once when it is given, or in threads.

    Args:
        threads: How many jobs are done at a time; up to 1 means at once, in the thread that gives them.
    """

    def __init__(self, threads: int = 0) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="episode") if threads > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def give(self, job: Callable[[], Result]) -> Future[Result]:
        """Have a job done; what it raises is raised when its result is taken."""
        if self._pool is not None:
            return self._pool.submit(job)
        done: Future[Result] = Future()
        try:
            done.set_result(job())
        except Exception as error:
            done.set_exception(error)
        return done

    def all(self, jobs: Iterable[Callable[[], Result]]) -> list[Result]:
        """Return the results of jobs, in their order."""
        given = [self.give(job) for job in jobs]
        return [each.result() for each in given]


def first_of(jobs: Iterable[Future[Result]]) -> None:
    """Wait until one of several jobs is done, if there are any."""
    wait(list(jobs), return_when=FIRST_COMPLETED)
