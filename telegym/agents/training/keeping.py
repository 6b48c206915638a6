"""What checkpoints keep beside weights, optimizer and random numbers: the memory of a run's other parts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

__all__ = ["Keeper", "Stateful"]


class Stateful(Protocol):
    """A part of a run that remembers something from step to step."""

    def state(self) -> Any:
        """Return what it remembers, as JSON values."""

    def restore(self, state: Any) -> None:
        """Remember what `state` returned, after it went through JSON."""


class Keeper(TrainerCallback):
    """Writes the state of parts into every checkpoint, and gives it back when a run is continued.

    Args:
        parts: The parts by name; `NAME-RANK.json` is their file in a checkpoint.
        checkpoint: The checkpoint from which the run goes on.
        rank: Number of this process.
    """

    def __init__(self, parts: Mapping[str, Stateful], checkpoint: Path | None, rank: int = 0) -> None:
        self._parts = {f"{name}-{rank}.json": part for name, part in parts.items()}
        for file, part in self._parts.items():
            if checkpoint is not None and (checkpoint / file).is_file():
                part.restore(json.loads((checkpoint / file).read_text("utf-8")))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Write the states beside the checkpoint's other files."""
        folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        for file, part in self._parts.items():
            (folder / file).write_text(json.dumps(part.state()), "utf-8")
