"""Settings of what a run keeps and tells about itself; nothing here changes what is learnt."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from telegym.core.settings import Settings

__all__ = ["KeepSettings", "SamplesSettings", "Tracker", "TrackingSettings"]

Tracker = Literal["tensorboard", "trackio", "wandb"]
"""Where figures can be sent, by the name of the package."""


class KeepSettings(Settings):
    """Which checkpoints stay."""

    last: PositiveInt = 2
    """How many of the newest."""
    best: NonNegativeInt = 1
    """How many of those that solved most of the tasks of `evaluation.during`, beside the newest."""


class SamplesSettings(Settings):
    """Episodes of the training to read: `samples/step-00010.md`."""

    every: NonNegativeInt = 10
    """Steps between them, the first step included; 0 writes none."""
    number: PositiveInt = 2
    """Episodes a step: the best and the worst, then those between."""
    characters: PositiveInt = 2000
    """The most characters shown of one message."""


class TrackingSettings(Settings):
    """Trackers that get every figure too."""

    to: list[Tracker] = Field(default_factory=list)
    """Names of trackers: `tensorboard` (files in `tensorboard/` of the run), `trackio`, `wandb`."""
    project: str = "telegym"
    """The project under which `trackio` and `wandb` show the run."""
    options: dict[Tracker, dict[str, Any]] = Field(default_factory=dict)
    """More by tracker: for `tensorboard` arguments of its `SummaryWriter`; for `wandb` and `trackio` environment
    variables they read, for example `{wandb: {WANDB_MODE: offline}}`."""
