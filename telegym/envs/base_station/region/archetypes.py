"""Kinds of regions, read from `archetypes.yaml`."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from telegym.core.errors import ConfigurationError, did_you_mean

__all__ = ["Archetype", "archetype", "archetype_names"]

Range = tuple[float, float]


class Archetype(BaseModel):
    """What regions of one kind have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    """What it is."""
    sites: tuple[int, int]
    """Fewest and most sites."""
    spacing_m: Range
    """Distance of neighbouring sites."""
    height_m: Range
    """Height of antennas."""
    environment: Literal["urban", "suburban", "rural"]
    """How waves spread."""
    layers: tuple[str, ...]
    """Bands, the coverage layer first."""
    transport: Literal["ring", "rings", "star", "tree", "chain", "mixed", "leased"]
    """Shape of the transport network."""
    gnss_share: float
    """Share of sites whose clock uses satellites; the others take PTP."""
    battery_h: Range
    """Hours the batteries are meant to last."""
    generator_share: float
    """Share of sites with a generator."""
    fronthaul_km: Range = (0.05, 0.3)
    """Length of fronthaul fibres."""
    split: bool = False
    """Whether base stations are split into CU and DU."""
    held_out: bool = False
    """Whether it is never learnt from."""


@cache
def _archetypes() -> dict[str, Archetype]:
    text = resources.files("telegym.envs.base_station").joinpath("archetypes.yaml").read_text(encoding="utf-8")
    return {name: Archetype.model_validate(data) for name, data in yaml.safe_load(text).items()}


def archetype_names(*, held_out: bool | None = None) -> tuple[str, ...]:
    """Return the names of archetypes: all, those that are learnt from (False) or those that never are (True)."""
    return tuple(name for name, kind in _archetypes().items() if held_out is None or kind.held_out == held_out)


def archetype(name: str) -> Archetype:
    """Return an archetype.

    Raises:
        ConfigurationError: If there is none of this name.
    """
    found = _archetypes().get(name)
    if found is None:
        names = archetype_names()
        raise ConfigurationError(f"no archetype {name!r}; valid: {', '.join(names)}.{did_you_mean(name, names)}")
    return found
