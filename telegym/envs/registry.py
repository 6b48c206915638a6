"""Environments by name, imported only when asked for."""

from __future__ import annotations

import inspect
from typing import Any

from telegym.core.entry_points import load_entry_point, register_entry_point
from telegym.core.environment import Environment
from telegym.core.errors import ConfigurationError, did_you_mean

__all__ = ["environment_ids", "make_environment", "register_environment"]

_ENTRY_POINTS: dict[str, str] = {
    "base-station": "telegym.envs.base_station.environment:BaseStation",
    "telemath": "telegym.envs.questions.telemath:TeleMath",
    "teleqna": "telegym.envs.questions.teleqna:TeleQnA",
    "tau2-telecom": "telegym.envs.tau2_telecom.environment:Tau2Telecom",
    "tripwired": "telegym.rewards.tripwires:Tripwired",
}


def register_environment(environment_id: str, entry_point: str) -> None:
    """Register an environment class under a name.

    Args:
        environment_id: The name, for example `my-domain`.
        entry_point: `module:class` of a subclass of `Environment`; imported when first made.

    Raises:
        ConfigurationError: If the name is taken by another class or the entry point is not `module:class`.
    """
    register_entry_point(_ENTRY_POINTS, "environment", environment_id, entry_point)


def environment_ids() -> tuple[str, ...]:
    """Return the registered names."""
    return tuple(_ENTRY_POINTS)


def environment_class(environment_id: str) -> type[Environment]:
    """Return the class registered under a name.

    Raises:
        ConfigurationError: If there is none; the message lists the valid names.
    """
    if environment_id not in _ENTRY_POINTS:
        hint = did_you_mean(environment_id, _ENTRY_POINTS)
        raise ConfigurationError(f"no environment {environment_id!r}; valid: {', '.join(_ENTRY_POINTS)}.{hint}")
    found: type[Environment] = load_entry_point(_ENTRY_POINTS[environment_id])
    return found


def make_environment(environment_id: str, **options: Any) -> Environment:
    """Build an environment by name.

    Args:
        environment_id: A registered name.
        **options: Passed to the class; an unknown option is an error that names the nearest valid one.

    Raises:
        ConfigurationError: If the name or an option is unknown.
    """
    cls = environment_class(environment_id)
    valid = list(inspect.signature(cls).parameters)
    for name in options:
        if name not in valid:
            hint = did_you_mean(name, valid)
            raise ConfigurationError(f"{environment_id} has no option {name!r}; valid: {', '.join(valid)}.{hint}")
    return cls(**options)
