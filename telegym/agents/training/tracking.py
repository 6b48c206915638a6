"""Trackers that get every figure of a run, beside the run's own files."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from telegym.agents.training.run_settings import Tracker, TrackingSettings
from telegym.core.errors import ConfigurationError

__all__ = ["check_trackers", "tracker_callbacks"]


def check_trackers(settings: TrackingSettings) -> None:
    """Refuse trackers that are not there, before anything is computed.

    Raises:
        ConfigurationError: If the package of one is not installed; it says how to get it.
    """
    for name in settings.to:
        if importlib.util.find_spec(name) is None:
            raise ConfigurationError(f"tracking.to: {name!r} is not installed: {_installation(name)}")
    unused = sorted(set(settings.options) - set(settings.to))
    if unused:
        raise ConfigurationError(f"tracking.options: {unused[0]!r} is not among the trackers of tracking.to")


def _installation(name: Tracker) -> str:
    return "pip install 'telegym[tracking]'" if name == "tensorboard" else f"pip install {name}"


def tracker_callbacks(settings: TrackingSettings, folder: Path, done: int) -> list[TrainerCallback]:
    """Return what tells the trackers of a recipe about every step.

    Args:
        settings: The trackers.
        folder: The folder of the run; its name is the run's name for trackers, so that a continued run is one run.
        done: Steps done before; figures that a tracker has of later ones are replaced, where it can do that.
    """
    check_trackers(settings)
    return [_callback(name, settings, folder, done) for name in settings.to]


def _callback(name: Tracker, settings: TrackingSettings, folder: Path, done: int) -> TrainerCallback:
    from transformers.integrations import integration_utils

    options = settings.options.get(name, {})
    if name == "tensorboard":
        return integration_utils.TensorBoardCallback(_writer(folder, done, options))
    identity = {"WANDB_PROJECT": settings.project, "WANDB_RUN_ID": folder.resolve().name, "WANDB_RESUME": "allow"}
    for variable, value in {**(identity if name == "wandb" else {}), **options}.items():
        os.environ.setdefault(variable, str(value))
    made: TrainerCallback = integration_utils.INTEGRATION_TO_CALLBACK[name]()
    return made


def _writer(folder: Path, done: int, options: dict[str, Any]) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    purge = {"purge_step": done + 1} if done else {}
    try:
        return SummaryWriter(**{"log_dir": str(folder / "tensorboard"), **purge, **options})
    except TypeError as error:
        raise ConfigurationError(f"tracking.options.tensorboard: {error}") from error
