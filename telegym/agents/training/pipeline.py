"""What a run does, by the kind of its recipe: this is where torch comes in."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
import transformers

from telegym.agents.training.context import RunContext
from telegym.agents.training.recipe import Recipe
from telegym.agents.training.reinforce import reinforce
from telegym.agents.training.run import RunFolder, RunResult
from telegym.agents.training.stages.chain import evaluate_only, run_chain
from telegym.agents.training.stages.stage import run_stage
from telegym.agents.training.supervise import supervise
from telegym.agents.training.tracking import check_trackers

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Pipeline"]

_KINDS: dict[str, Callable[[RunContext], None]] = {
    "grpo": reinforce,
    "sft": supervise,
    "rejection": run_stage,
    "dagger": run_stage,
    "distillation": run_stage,
    "preferences": run_stage,
    "evaluation": evaluate_only,
    "stages": lambda context: run_chain(context, _KINDS),
}


class Pipeline:
    """One run.

    Args:
        recipe: What to do.
        folder: Where to keep it.
        console: Where to show it.
    """

    def __init__(self, recipe: Recipe, folder: RunFolder, console: Console) -> None:
        self.context = RunContext(recipe, folder, console, RunResult(folder.path))

    def run(self) -> RunResult:
        """Run, and say how to continue if interrupted."""
        context = self.context
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        torch.set_num_threads(context.recipe.threads or os.cpu_count() or 1)
        check_trackers(context.recipe.tracking)
        try:
            _KINDS[context.recipe.kind](context)
        except KeyboardInterrupt:
            context.result.interrupted = True
        except Exception as error:
            context.status.tell(f"failed: {error}", over=True)
            raise
        context.status.tell("interrupted" if context.result.interrupted else "finished", over=True)
        if context.result.interrupted:
            why = f"Stopped: {context.result.stopped}." if context.result.stopped is not None else "Interrupted."
            context.say(f"{why} Continue with: telegym train --name {context.folder.path.name} --resume")
        return context.result
