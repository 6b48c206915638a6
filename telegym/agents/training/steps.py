"""Steps of a training: which of them end a batch of rollouts, and what hears of the figures of each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

__all__ = ["StepCallback", "cycle_of"]


def cycle_of(args: TrainingArguments) -> int:
    """Return after how many optimizer steps rollouts are used up, and new ones are played; 1 where none are.

    Args:
        args: Arguments of a trainer of transformers or TRL.
    """
    batches = int(getattr(args, "steps_per_generation", None) or 1)
    return max(1, batches * int(getattr(args, "num_iterations", 1)) // int(args.gradient_accumulation_steps))


class StepCallback(TrainerCallback, ABC):
    """Hears of the figures of every step. What a trainer logs beside them, as at its end, is passed over."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> TrainerControl:
        """Pass on what was logged for a step."""
        if logs is not None and "loss" in logs:
            self.see(state, control, logs)
        return control

    @abstractmethod
    def see(self, state: TrainerState, control: TrainerControl, figures: dict[str, Any]) -> None:
        """Look at a step.

        Args:
            state: How far the training is.
            control: May be told to save or to end.
            figures: What was logged; who hears of it later sees what is added.
        """
