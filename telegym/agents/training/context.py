"""What all parts of a run share: its recipe, its folder, and where it is shown."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from telegym.agents.local import PlayerSettings
from telegym.agents.training.dashboard import Display
from telegym.agents.training.recipe import Recipe
from telegym.agents.training.run import RunFolder, RunResult
from telegym.agents.training.view import RunView, Status
from telegym.core.environment import Environment
from telegym.envs.registry import make_environment

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rich.console import Console

    from telegym.agents.training.dashboard import Bar

__all__ = ["RunContext"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(slots=True)
class RunContext:
    """One run, as its parts see it."""

    recipe: Recipe
    """What to do."""
    folder: RunFolder
    """Where to keep it."""
    console: Console
    """Where to show it."""
    result: RunResult
    """What the run has given so far."""
    rank: int = field(default_factory=lambda: int(os.environ.get("RANK", "0")))
    """Number of this process; 0 writes and speaks for all."""
    world: int = field(default_factory=lambda: int(os.environ.get("WORLD_SIZE", "1")))
    """How many processes train together."""

    status: Status = field(init=False)
    """Tells those who look from outside what is going on."""
    display: Display = field(init=False)
    """Shows what is going on."""

    def __post_init__(self) -> None:
        self.status = Status(self.folder.path, writes=self.rank == 0)
        view = RunView(self.folder.path.resolve().name)
        self.display = Display(self.console, view, self.status, hidden=self.rank > 0)

    @property
    def dtype(self) -> torch.dtype:
        """Precision in which the model is loaded."""
        return _DTYPES[self.recipe.model.dtype]

    def environment(self, options: dict[str, Any]) -> Environment:
        """Return the recipe's environment, with options that override its own."""
        settings = self.recipe.environment
        return make_environment(settings.id, **{**settings.options, **options})

    def player_settings(self) -> PlayerSettings:
        """Return how the trained model is to be played."""
        rollout = self.recipe.rollout
        return PlayerSettings(
            prompt=self.recipe.prompt,
            temperature=self.recipe.evaluation.temperature,
            turn_tokens=rollout.turn_tokens,
            context=rollout.context,
        )

    def training_arguments(self, steps: int) -> dict[str, Any]:
        """Return the arguments that trainers of all kinds share.

        Args:
            steps: Optimizer steps of the whole training.
        """
        return {
            "output_dir": str(self.folder.checkpoints),
            "max_steps": steps,
            "seed": self.recipe.seed,
            "use_cpu": not torch.cuda.is_available(),
            "logging_steps": 1,
            "save_strategy": "no",  # `optimize` says when
            "report_to": "none",  # `optimize` adds trackers after what completes the figures
            "run_name": self.folder.path.resolve().name,
            "project": self.recipe.tracking.project,
            "disable_tqdm": True,
            "remove_unused_columns": False,
        }

    def say(self, text: str) -> None:
        """Print a text, once for all processes."""
        if self.rank == 0:
            self.console.print(text, markup=False)

    def progress(self, title: str, total: int, done: int = 0) -> AbstractContextManager[Bar]:
        """Show a bar as long as the block lasts.

        Args:
            title: What is going on.
            total: How many there are to do.
            done: How many are done already.
        """
        return self.display.progress(title, total, done)
