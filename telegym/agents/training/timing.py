"""Where the time of a training step goes: one stopwatch, always in exactly one phase.

Phases nest, and time counts for the innermost one only, so the phases of a step sum to what the step took.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["PHASES", "ClockWork", "Phase", "StepClock", "time_table"]

Phase = Literal["generation", "environment", "reward", "optimisation", "other"]
"""`generation`: the policy samples; `environment`: episodes begin, tools run, and what they answer becomes tokens, as
far as the step waits for it; `reward`: scores, judges, guards, credit; `optimisation`: advantages, loss, gradient,
update; `other`: everything else, such as files and checkpoints."""
PHASES: tuple[Phase, ...] = ("generation", "environment", "reward", "optimisation", "other")
"""All phases, in the order in which they are shown."""


class StepClock:
    """Measures steps. To be used in one thread.

    Args:
        now: A clock that never goes back, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self.restart()

    def restart(self) -> None:
        """Forget everything, and measure from here."""
        self._open: list[Phase] = ["other"]
        self._since = self._now()
        self._spent: dict[Phase, float] = dict.fromkeys(PHASES, 0.0)
        self._steps = self._tokens = 0

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """Count what is done within for a phase."""
        depth = len(self._open)
        self._enter(name)
        try:
            yield
        finally:
            self._settle()
            del self._open[depth:]

    def begin_step(self) -> None:
        """Begin a step of the optimizer: what follows is optimisation, unless it is in another phase."""
        self._steps += 1
        self._enter("optimisation")

    def end_update(self) -> None:
        """End the optimisation of a step."""
        self._settle()
        del self._open[1:]

    def count(self, tokens: int) -> None:
        """Count tokens that were sampled."""
        self._tokens += tokens

    def lap(self) -> dict[str, float]:
        """Return the figures of the steps since the last lap, and begin the next.

        Returns:
            Seconds a step by phase (`time/generation` and so on), `time/step`, which is their sum, and
            `tokens/second`: tokens sampled per second of the whole step.
        """
        self._settle()
        steps, total = max(1, self._steps), sum(self._spent.values())
        figures = {f"time/{phase}": seconds / steps for phase, seconds in self._spent.items()}
        figures |= {"time/step": total / steps, "tokens/second": self._tokens / total if total else 0.0}
        self._spent = dict.fromkeys(PHASES, 0.0)
        self._steps = self._tokens = 0
        return figures

    def _enter(self, name: Phase) -> None:
        self._settle()
        self._open.append(name)

    def _settle(self) -> None:
        now = self._now()
        self._spent[self._open[-1]] += now - self._since
        self._since = now


class ClockWork(TrainerCallback):
    """Tells a clock when steps of a trainer begin, and when the update of the weights is done.

    Args:
        clock: The clock.
    """

    def __init__(self, clock: StepClock) -> None:
        self._clock = clock

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Leave out what was before the training."""
        self._clock.restart()

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin a step."""
        self._clock.begin_step()

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """End the optimisation."""
        self._clock.end_update()


def time_table(rows: Iterable[Mapping[str, Any]]) -> Table | None:
    """Return where the time of a run's steps went, or None if none was measured.

    Args:
        rows: The steps, as logged.
    """
    from rich.table import Table

    timed = [row for row in rows if "time/step" in row]
    total = sum(row["time/step"] for row in timed)
    if not total:
        return None
    table = Table(title=f"time of {len(timed)} steps")
    for name in ("", "seconds a step", "share"):
        table.add_column(name, justify="right" if name else "left")
    for name in (*PHASES, "step"):
        seconds = sum(row[f"time/{name}"] for row in timed)
        table.add_row(name, f"{seconds / len(timed):.3f}", f"{seconds / total:.1%}")
    tokens = sum(row["tokens/second"] * row["time/step"] for row in timed)
    table.add_row("tokens sampled per second", f"{tokens / total:,.0f}", "")
    return table
