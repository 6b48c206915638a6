"""The numbers of the policy, and its variants."""

from __future__ import annotations

from functools import cache
from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from telegym.core.errors import ConfigurationError, did_you_mean

__all__ = ["PolicyConstants", "policy_variant", "policy_variants"]


class PolicyConstants(BaseModel):
    """What varies between versions of the policy; the texts name these numbers in braces."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    look_min: PositiveInt = 60
    """How recent a look at alarms and status must be before the first change, in minutes."""
    notify_min: PositiveInt = 15
    """Minutes within which the operations centre hears of a P1 or P2."""
    notify_vip_min: PositiveInt = 30
    """Minutes within which an important requester hears of it."""
    users_lost_min: PositiveInt = 200
    """User-minutes an unapproved change may cost before it is a hard violation."""
    restart_ban_from_h: NonNegativeInt = 6
    """Hour from which nodes in service are not restarted."""
    restart_ban_to_h: NonNegativeInt = 23
    """Hour until which they are not."""
    half_out_pct: PositiveInt = 50
    """Share of a node's cells that must be out for an exemption."""
    max_resets: PositiveInt = 2
    """Resets of one unit."""
    reset_pause_min: PositiveInt = 10
    """Minutes between them."""
    quiet_from_h: NonNegativeInt = 22
    """Hour from which nobody is sent for a P3 or P4."""
    quiet_to_h: NonNegativeInt = 6
    """Hour until which nobody is."""
    night_dispatch_allowed: bool = False
    """Whether the rule of quiet hours is left out."""
    battery_floor_pct: PositiveInt = 30
    """State of charge below which nothing is restarted."""
    tilt_step_deg: PositiveInt = 4
    """Largest deliberate tilt away from the plan."""
    power_step_db: PositiveInt = 3
    """Largest deliberate change of power."""
    cio_step_db: PositiveInt = 3
    """Largest deliberate individual offset."""
    verify_min: PositiveInt = 30
    """Minutes after the last repair before closing."""
    intermittent_verify_min: PositiveInt = 120
    """The same for trouble that comes and goes."""
    emergency_notify_min: PositiveInt = 15
    """Minutes within which the operations centre hears of an emergency exemption."""


@cache
def _variants() -> dict[str, PolicyConstants]:
    text = resources.files("telegym.envs.base_station.policy").joinpath("variants.yaml").read_text(encoding="utf-8")
    return {name: PolicyConstants.model_validate(changes) for name, changes in yaml.safe_load(text).items()}


def policy_variants() -> tuple[str, ...]:
    """Return the names of the versions; the first is the one agents are trained with."""
    return tuple(_variants())


def policy_variant(name: str) -> PolicyConstants:
    """Return a version of the policy.

    Raises:
        ConfigurationError: If there is none of this name.
    """
    if name not in _variants():
        names = policy_variants()
        raise ConfigurationError(f"no policy {name!r}; valid: {', '.join(names)}.{did_you_mean(name, names)}")
    return _variants()[name]
