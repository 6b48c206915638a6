"""The registry of faults: a table of all causes, and for those that can be injected a `Fault`.

A fault is added by a row in `faults.yaml` and a module that makes a `Fault` of that code with `register`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.envs.base_station.network import Network

__all__ = ["Defect", "Fault", "FaultInfo", "Parameters", "fault", "fault_codes", "fault_infos", "register"]

Parameters = Mapping[str, float | int | str | bool]
"""Details of one instance of a fault."""
Family = Literal[
    "power",
    "transport",
    "clock",
    "fronthaul",
    "antenna",
    "radio_configuration",
    "software",
    "security",
    "capacity",
    "interference",
    "human_error",
    "silent",
    "no_fault",
]


class FaultInfo(BaseModel):
    """A row of the table of causes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """Short name, for example `P01`."""
    family: Family
    """What kind of trouble it is."""
    tier: Literal[1, 2, 3]
    """How far from the everyday it is."""
    difficulty: Literal[1, 2, 3, 4, 5]
    """How hard one clean instance is to diagnose."""
    silent: bool
    """Whether no alarm is raised on the faulty element."""


class Defect(NamedTuple):
    """One instance of a fault in a network."""

    code: str
    """The cause."""
    element_id: str
    """The faulty element."""
    parameters: tuple[tuple[str, float | int | str | bool], ...]
    """Details."""
    since_s: int
    """When it began."""


@dataclass(frozen=True, slots=True)
class Fault:
    """How a cause is brought about, and how to see whether it is gone."""

    code: str
    """The cause."""
    eligible: Callable[[Network], list[str]]
    """Returns the elements it can happen to."""
    sample: Callable[[Network, str, int], Parameters]
    """Draws the details of an instance: network, element, seed."""
    apply: Callable[[Network, str, Parameters], None]
    """Changes records, and may schedule what follows by itself."""
    present: Callable[[Network, str, Parameters], bool]
    """Returns whether the defect is still there."""
    repair: Callable[[Network, str, Parameters], None]
    """Undoes it physically, as the perfect repair would."""
    accepted: Callable[[Network, str], tuple[str, ...]] = lambda network, element: (element,)
    """Returns the elements a diagnosis may name for it."""
    lead_min: int = 20
    """Minutes between its beginning and a ticket about it, at least."""

    def inject(self, network: Network, element_id: str, parameters: Parameters | None = None, seed: int = 0) -> Defect:
        """Bring the fault about.

        Args:
            network: The network.
            element_id: Where; one of `eligible`.
            parameters: Details; None draws them.
            seed: Decides the details that are drawn.

        Raises:
            ConfigurationError: If it cannot happen there.
        """
        options = self.eligible(network)
        if element_id not in options:
            hint = did_you_mean(element_id, options)
            raise ConfigurationError(f"{self.code} cannot happen to {element_id!r} in this network.{hint}")
        details = dict(self.sample(network, element_id, seed) if parameters is None else parameters)
        self.apply(network, element_id, details)
        return Defect(self.code, element_id, tuple(sorted(details.items())), network.now)

    def cleared(self, network: Network, defect: Defect) -> bool:
        """Return whether a defect is gone."""
        return not self.present(network, defect.element_id, dict(defect.parameters))

    def undo(self, network: Network, defect: Defect) -> None:
        """Repair a defect perfectly."""
        self.repair(network, defect.element_id, dict(defect.parameters))


_FAULTS: dict[str, Fault] = {}


def register(made: Fault) -> Fault:
    """Make a fault known.

    Raises:
        ConfigurationError: If the table has no row for its code.
    """
    if made.code not in fault_infos():
        hint = did_you_mean(made.code, fault_infos())
        raise ConfigurationError(f"faults.yaml has no row {made.code!r}.{hint}")
    _FAULTS[made.code] = made
    return made


@cache
def fault_infos() -> dict[str, FaultInfo]:
    """Return the table of causes, by code."""
    text = resources.files("telegym.envs.base_station.faults").joinpath("faults.yaml").read_text(encoding="utf-8")
    return {code: FaultInfo.model_validate(row) for code, row in yaml.safe_load(text).items()}


@cache
def _load() -> bool:
    package = importlib.import_module("telegym.envs.base_station.faults")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return True


def fault_codes(tier: int | None = None) -> tuple[str, ...]:
    """Return the codes of faults that can be injected, in the order of the table."""
    _load()
    return tuple(code for code, row in fault_infos().items() if code in _FAULTS and tier in (None, row.tier))


def fault(code: str) -> Fault:
    """Return a fault.

    Raises:
        ConfigurationError: If there is none of this code that can be injected.
    """
    _load()
    if code not in _FAULTS:
        hint = did_you_mean(code, _FAULTS)
        raise ConfigurationError(f"no fault {code!r} can be injected.{hint}")
    return _FAULTS[code]
