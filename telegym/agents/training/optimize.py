"""The training proper: a trainer runs up to its last step, is logged, and can be interrupted and continued.

Between two steps there are moments at which nothing is under way: with several updates on the same rollouts (`steps` of
TRL's generation, or iterations) only after the last of them. Checkpoints are taken at such moments, as are evaluations;
what falls due in between waits.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import transformers
from accelerate import PartialState
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from telegym.agents.training.checkpoints import best_steps, complete_checkpoints, prune
from telegym.agents.training.failures import explain
from telegym.agents.training.keeping import Keeper
from telegym.agents.training.measure import Player, measure_during
from telegym.agents.training.ranks import any_of, restorable
from telegym.agents.training.steps import StepCallback, cycle_of
from telegym.agents.training.tracking import tracker_callbacks
from telegym.core.errors import InfrastructureError, TeleGymError

if TYPE_CHECKING:
    from telegym.agents.training.context import RunContext
    from telegym.agents.training.dashboard import Bar

__all__ = ["optimize"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def optimize(context: RunContext, trainer: Any, steps: int, player: Player | None = None) -> bool:
    """Train up to the last step, from the last complete checkpoint on if there is one.

    Args:
        context: The run.
        trainer: A trainer of transformers. Its `stateful`, if it has one, is a mapping of parts by name whose state
            goes into checkpoints (`telegym.agents.training.keeping.Stateful`).
        steps: Optimizer steps of the whole training.
        player: Plays the tasks of `evaluation.during`; None if these are not to be played.

    Returns:
        False if it was interrupted. Else the trainer has the weights that the recipe wants as `final`.

    Raises:
        InfrastructureError: If a disk, a server or a process failed. What was done until then is kept.
    """
    checkpoint = _begin(context)
    trainer.remove_callback(transformers.PrinterCallback)
    keeper = _keeper(context, trainer, checkpoint)
    done = _step_of(checkpoint)
    with context.progress("training", steps, done) as progress:
        course = _Course(context, progress, player, cycle_of(trainer.args))
        _put_first(trainer, course)
        trackers = tracker_callbacks(context.recipe.tracking, context.folder.path, done) if not context.rank else []
        for callback in (*trackers, keeper):
            trainer.add_callback(callback)
        restorable(trainer.args)
        with course.listening():
            try:
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint is not None else None)
            except Exception as error:
                raise _kept(context, trainer, keeper, error) from error
    context.result.stopped = getattr(trainer, "stopped", None)
    asked = course.interrupted or context.result.stopped is not None
    context.result.interrupted = asked and trainer.state.global_step < steps
    if context.result.interrupted:
        return False
    _take_final(context, trainer)
    return True


def _begin(context: RunContext) -> Path | None:
    """Return the checkpoint to go on from, and delete what comes after it."""
    checkpoint = context.folder.last_checkpoint()
    if context.world > 1:
        PartialState().wait_for_everyone()
    if context.rank == 0:
        context.folder.forget_after(_step_of(checkpoint))
    if context.world > 1:
        PartialState().wait_for_everyone()
    return checkpoint


def _keeper(context: RunContext, trainer: Any, checkpoint: Path | None) -> Keeper:
    folder, keep = context.folder, context.recipe.keep
    keeper = Keeper(
        getattr(trainer, "stateful", {}),
        context.rank,
        context.world,
        lambda: prune(folder.checkpoints, keep.last, keep.best, folder.scores()),
    )
    if checkpoint is not None:
        keeper.restore(checkpoint)
    return keeper


def _put_first(trainer: Any, callback: TrainerCallback) -> None:
    """Add a callback before all others, so that these see what it adds to the figures."""
    trainer.add_callback(callback)
    callbacks = trainer.callback_handler.callbacks
    callbacks.insert(1, callbacks.pop())  # after transformers' own, which says when to log


def _step_of(checkpoint: Path | None) -> int:
    return int(checkpoint.name.rpartition("-")[2]) if checkpoint is not None else 0


def _kept(context: RunContext, trainer: Any, keeper: Keeper, error: Exception) -> Exception:
    """Keep what can be kept after a failure, and return what is to be raised."""
    at_rest = trainer.state.global_step % cycle_of(trainer.args) == 0
    if context.world == 1 and at_rest:
        keeper.rescue(trainer)
    step = _step_of(context.folder.last_checkpoint())
    there = f"from step {step}" if step else "from the start"
    how = f"it goes on {there} with: telegym train --name {context.folder.path.name} --resume"
    explained = error if isinstance(error, InfrastructureError) else explain(error, context.folder.path)
    if explained is not None:
        return InfrastructureError(f"{str(explained).rstrip('.')}; {how}")
    if not isinstance(error, TeleGymError):
        error.add_note(f"The run {context.folder.path} ended in step {trainer.state.global_step + 1}; {how}")
    return error


def _take_final(context: RunContext, trainer: Any) -> None:
    """Give the trainer the weights of the best checkpoint, if the recipe wants them."""
    if context.recipe.final != "best":
        return
    scores = context.folder.scores()
    found = complete_checkpoints(context.folder.checkpoints)
    best = best_steps({step: score for step, score in scores.items() if step in found}, 1)
    if not best:
        context.say("No checkpoint was evaluated; the model is the one of the last step.")
        return
    trainer._load_from_checkpoint(str(found[best[0]]))
    trainer._last_loaded_step = -1  # so that vLLM, where it generates, gets these weights too
    context.say(f"The model is the one of step {best[0]}: {scores[best[0]][0]:.1%} of held-out tasks solved.")


class _Course(StepCallback):
    """Keeps a training on its course: figures, the bar, evaluations on the way, checkpoints, and the end."""

    def __init__(self, context: RunContext, bar: Bar, player: Player | None, cycle: int) -> None:
        self.interrupted = False
        self._context = context
        self._bar = bar
        self._player = player
        self._cycle = cycle
        self._due: set[str] = set()
        self._figures: Mapping[str, float] = {}

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Catch the first Ctrl-C, or the system's wish that the program end; the second one ends it at once."""

        def stop(*_: Any) -> None:
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True

        try:
            previous = {each: signal.signal(each, stop) for each in _SIGNALS}
        except ValueError:  # not in the main thread, where signals do not arrive anyway
            yield
            return
        try:
            yield
        finally:
            for each, handler in previous.items():
                signal.signal(each, handler)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Evaluate, save and stop where that is due and nothing is under way."""
        last = state.global_step >= state.max_steps
        self._note(state.global_step, last)
        if last or state.global_step % self._cycle == 0:
            if "evaluate" in self._due and self._player is not None:
                self._figures = measure_during(self._context, state.global_step, self._player)
            control.should_save = bool(self._due) or control.should_save
            control.should_training_stop = control.should_training_stop or "stop" in self._due
            self._due.clear()
        return control

    def _note(self, step: int, last: bool) -> None:
        """Note what is due after a step."""
        recipe = self._context.recipe
        if last or step % recipe.save_steps == 0:
            self._due.add("save")
        if self._player is not None and recipe.evaluation.every and (last or step % recipe.evaluation.every == 0):
            self._due.add("evaluate")
        if self._context.world > 1:
            self.interrupted = any_of(self.interrupted)
        if self.interrupted:
            self._due.add("stop")

    def see(self, state: TrainerState, control: TrainerControl, figures: dict[str, Any]) -> None:
        """Keep what was logged for a step, with what was found on the way."""
        figures.update(self._figures)
        self._figures = {}
        row = {"step": state.global_step, **{name: value for name, value in figures.items() if value is not None}}
        if self._context.rank == 0:
            self._context.folder.log(row)
        self._context.display.row(row, state.max_steps)
        self._bar.advance()
