"""What checkpoints keep beside weights, optimizer and random numbers: the memory of a run's other parts.

A run that is continued is to do what it would have done. For that, each part that remembers something from step to step
writes it into every checkpoint, and a step that fails on the way (a server that died, an episode that broke) leaves the
checkpoint of the step before.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import PartialState
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from telegym.agents.training.checkpoints import mark_complete
from telegym.core.files import write_whole

__all__ = ["Keeper", "RandomNumbers", "Stateful"]

logger = logging.getLogger(__name__)


class Stateful(Protocol):
    """A part of a run that remembers something from step to step."""

    def state(self) -> Any:
        """Return what it remembers, as JSON values."""

    def restore(self, state: Any) -> None:
        """Remember what `state` returned, after it went through JSON."""


class RandomNumbers:
    """The random numbers of torch, as they stand now; nothing draws from the global ones of python and numpy."""

    def __init__(self) -> None:
        self._torch = torch.get_rng_state()
        self._cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []

    def restore(self) -> None:
        """Go on from where they stood."""
        torch.set_rng_state(self._torch)
        if self._cuda:
            torch.cuda.set_rng_state_all(self._cuda)


class Keeper(TrainerCallback):
    """Completes checkpoints: the state of parts, and last of all the mark that says that everything is there.

    Args:
        parts: The parts by name; `NAME-RANK.json` is their file in a checkpoint.
        rank: Number of this process.
        world: How many processes there are.
        on_complete: Called in process 0 after each complete checkpoint.
    """

    def __init__(
        self,
        parts: Mapping[str, Stateful],
        rank: int = 0,
        world: int = 1,
        on_complete: Callable[[], None] = lambda: None,
    ) -> None:
        self._parts = {f"{name}-{rank}.json": part for name, part in parts.items()}
        self._rank, self._world = rank, world
        self._on_complete = on_complete
        self._begun: dict[str, str] | None = None
        self._step = -1
        self._random: RandomNumbers | None = None

    def restore(self, checkpoint: Path) -> None:
        """Give the parts what a checkpoint kept for them; a part it does not know begins anew."""
        for file, part in self._parts.items():
            if (checkpoint / file).is_file():
                part.restore(json.loads((checkpoint / file).read_text("utf-8")))

    def rescue(self, trainer: Any) -> bool:
        """Write the checkpoint of the last whole step, after the next one failed.

        Args:
            trainer: The trainer; its weights are still those of that step.

        Returns:
            Whether there is one; not if the weights were being changed, or nothing can be written.
        """
        if self._begun is None or self._random is None or self._step != trainer.state.global_step or not self._step:
            return False
        self._random.restore()
        try:
            trainer._save_checkpoint(trainer.model, trial=None)
            self._complete(Path(str(trainer.args.output_dir)), self._step, self._begun)
        except Exception:
            logger.warning("step %d could not be kept", self._step, exc_info=True)
            return False
        return True

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Note what there is before the step."""
        self._begun, self._step = self._states(), state.global_step
        self._random = self._random or RandomNumbers()

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """From here on the weights are no longer those of the step before."""
        self._begun = None

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Note the random numbers with which the next step begins."""
        self._random = RandomNumbers()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Write what is missing of the checkpoint of a step."""
        self._complete(Path(str(args.output_dir)), state.global_step, self._states())

    def _states(self) -> dict[str, str]:
        return {file: json.dumps(part.state()) for file, part in self._parts.items()}

    def _complete(self, folder: Path, step: int, states: Mapping[str, str]) -> None:
        checkpoint = folder / f"checkpoint-{step}"
        for file, text in states.items():
            write_whole(checkpoint / file, text)
        if self._world > 1:
            PartialState().wait_for_everyone()
        if self._rank == 0:
            mark_complete(checkpoint)
            self._on_complete()
