"""Lets watches see what a training logs, and ends the training where one says so."""

from __future__ import annotations

import logging
from typing import Any

from transformers import TrainerControl, TrainerState

from telegym.agents.training.steps import StepCallback
from telegym.agents.training.watch import Watches

__all__ = ["Watching"]

logger = logging.getLogger(__name__)


class Watching(StepCallback):
    """Shows watches every step.

    Args:
        watches: The watches.
        cycle: After how many steps rollouts are used up: the training ends at a multiple of it.
    """

    def __init__(self, watches: Watches, cycle: int = 1) -> None:
        self._watches = watches
        self._cycle = cycle
        self.stopped: str | None = None
        """Why the training was ended, if a watch did that."""

    def see(self, state: TrainerState, control: TrainerControl, figures: dict[str, Any]) -> None:
        """Look at a step; end the training with a checkpoint if that is due."""
        for alarm in self._watches.see(figures):
            logger.warning("step %d: %s", state.global_step, alarm.text)
            if alarm.stops and self.stopped is None:
                self.stopped = alarm.text
        if self.stopped is not None and state.global_step % self._cycle == 0:
            control.should_save = control.should_training_stop = True
