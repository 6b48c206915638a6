"""The training proper: a trainer runs up to its last step, is logged, and can be interrupted and continued."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import transformers
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from telegym.agents.training.keeping import Keeper
from telegym.agents.training.run import RunFolder

if TYPE_CHECKING:
    from telegym.agents.training.context import RunContext
    from telegym.agents.training.dashboard import Bar

__all__ = ["optimize"]


def optimize(context: RunContext, trainer: Any, steps: int) -> bool:
    """Train up to the last step, from the last checkpoint on if there is one.

    Args:
        context: The run.
        trainer: A trainer of transformers. Its `stateful`, if it has one, is a mapping of parts by name whose state
            goes into checkpoints.
        steps: Optimizer steps of the whole training.

    Returns:
        False if it was interrupted.
    """
    checkpoint = context.folder.last_checkpoint()
    done = int(checkpoint.name.rpartition("-")[2]) if checkpoint is not None else 0
    context.folder.forget_after(done)
    trainer.remove_callback(transformers.PrinterCallback)
    with context.progress("training", steps, done) as progress:
        watcher = _Watcher(context.folder if context.rank == 0 else None, progress)
        trainer.add_callback(watcher)
        trainer.add_callback(Keeper(getattr(trainer, "stateful", {}), checkpoint, context.rank))
        with watcher.listening():
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint is not None else None)
    context.result.interrupted = watcher.interrupted and trainer.state.global_step < steps
    return not context.result.interrupted


class _Watcher(TrainerCallback):
    """Writes metrics, moves the bar, and turns Ctrl-C into a checkpoint."""

    def __init__(self, folder: RunFolder | None, bar: Bar) -> None:
        self.interrupted = False
        self._folder = folder
        self._bar = bar

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Catch the first Ctrl-C; the second one ends the program at once."""

        def stop(*_: Any) -> None:
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True

        try:
            previous = signal.signal(signal.SIGINT, stop)
        except ValueError:  # not in the main thread, where signals do not arrive anyway
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Stop with a checkpoint if asked to."""
        if self.interrupted:
            control.should_save = control.should_training_stop = True
        return control

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep what was logged for a step."""
        if logs is None or "loss" not in logs:
            return
        row = {"step": state.global_step, **{name: value for name, value in logs.items() if value is not None}}
        if self._folder is not None:
            self._folder.log(row)
        success = row.get("episode/success")
        self._bar.advance(f"success {success:.0%}" if success is not None else f"loss {float(row['loss']):.3f}")
