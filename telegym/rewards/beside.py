"""Asking a composition about runs while others still go on: judges work beside whoever plays.

A reward that waits for others and has a `sitting` is asked as soon as it can be: about a run, a group or a batch that
has ended. All others are asked in the end, as ever. The scores are those that `Composite.score` gives: batches are cut
at the same places, and what a batch shares, it shares here too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError
from types import TracebackType
from typing import Self

from telegym.core.score import Failure, Score
from telegym.rewards.base import Reward, Run, Sitting
from telegym.rewards.combination import within_groups
from telegym.rewards.compose import GUARDS, Composite

__all__ = ["Beside"]


class _Bench:
    """One reward and one batch: which pieces have been asked about."""

    def __init__(self, name: str, sitting: Sitting, rows: Sequence[int], pieces: Sequence[Sequence[int]]) -> None:
        self.name = name
        self.sitting = sitting
        self.rows = rows
        self.pieces = pieces
        self.asked: dict[int, Future[list[Score]]] = {}


class Beside:
    """Asks a composition about a batch of runs that end one after the other. To be used in one thread.

    Args:
        composite: The composition.
        groups: The group of each run of the batch, in order.
        seconds: How long to wait for answers once all runs have ended; None waits for the rewards' own limits.
    """

    def __init__(self, composite: Composite, groups: Sequence[str], seconds: float | None = None) -> None:
        self._composite = composite
        self._groups = list(groups)
        self._seconds = seconds
        self._pool = ThreadPoolExecutor(max(1, len(groups)), thread_name_prefix="judge")
        self._runs: dict[int, Run] = {}
        self._benches = [bench for name, reward in composite.components.items() for bench in self._open(name, reward)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def add(self, row: int, run: Run) -> None:
        """Ask about a run that has ended, and about groups and batches that are complete with it.

        Args:
            row: Its number in the batch.
            run: The run; it is the one that counts from now on.
        """
        self._runs[row] = run
        for bench in self._benches:
            for number, piece in enumerate(bench.pieces):
                if row in piece and number not in bench.asked and all(each in self._runs for each in piece):
                    runs = [self._runs[each] for each in piece]
                    bench.asked[number] = self._pool.submit(self._composite.considered, bench.name, runs, bench.sitting)

    def run(self, row: int, otherwise: Run) -> Run:
        """Return the run of a row; if none was added, the one given is added."""
        if row not in self._runs:
            self.add(row, otherwise)
        return self._runs[row]

    def score(self) -> list[Score]:
        """Return one score for each run, in order; all have been added."""
        runs = [self._runs[row] for row in range(len(self._groups))]
        early = {bench.name for bench in self._benches}
        late = self._composite.ask(runs, only=[name for name in self._composite.components if name not in early])
        deadline = None if self._seconds is None else time.monotonic() + self._seconds
        parts = {name: self._taken(name, deadline) for name in sorted(early)} | late
        ordered = {name: parts[name] for name in (*self._composite.components, GUARDS) if name in parts}
        return list(self._composite.combine(runs, ordered))

    def _open(self, name: str, reward: Reward) -> Iterator[_Bench]:
        """Yield a bench for each batch of a reward that can be asked early."""
        for rows in self._composite.batches(self._groups):
            sitting = reward.sitting() if reward.waits else None
            if sitting is None:
                return
            own = [self._groups[row] for row in rows]
            groups = [[rows[place] for place in group] for group in within_groups(own)]
            cut = {"run": [[row] for row in rows], "group": groups, "batch": [list(rows)]}
            yield _Bench(name, sitting, rows, cut[sitting.piece])

    def _taken(self, name: str, deadline: float | None) -> list[Score]:
        found: dict[int, Score] = {}
        for bench in self._benches:
            if bench.name == name:
                found |= zip(bench.rows, self._settled(bench, deadline), strict=True)
        return [found[row] for row in sorted(found)]

    def _settled(self, bench: _Bench, deadline: float | None) -> list[Score]:
        placed: dict[int, Score] = {}
        for number, piece in enumerate(bench.pieces):
            placed |= zip(piece, self._awaited(bench.asked[number], len(piece), deadline), strict=True)
        runs = [self._runs[row] for row in bench.rows]
        return bench.sitting.settle(runs, [placed[row] for row in bench.rows])

    def _awaited(self, asked: Future[list[Score]], count: int, deadline: float | None) -> list[Score]:
        """Return the scores of a piece, or failures if they are not there in time."""
        try:
            return asked.result(None if deadline is None else max(0.0, deadline - time.monotonic()))
        except LateError:
            asked.cancel()
            message = f"no verdict within {self._seconds:g} seconds after the last episode of the step"
            return [Score(failure=Failure(party="infrastructure", message=message))] * count
