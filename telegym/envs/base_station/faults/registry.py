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
from pydantic import BaseModel, ConfigDict, Field

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.envs.base_station.network import Network

__all__ = [
    "Defect",
    "Fault",
    "FaultInfo",
    "Form",
    "Parameters",
    "fault",
    "fault_codes",
    "fault_infos",
    "forms",
    "register",
    "register_form",
]

Parameters = Mapping[str, float | int | str | bool]
"""Details of one instance of a fault."""
Kind = Literal["RES", "DIA", "PRV", "NOF", "ESC"]
"""Resolve, diagnose only, prevent an outage, no fault, hand over."""
Form = Literal["permanent", "intermittent", "scheduled", "growing", "delayed", "self_clearing"]
"""How a defect goes on over time: it stays; comes and goes by chance, or by the clock; becomes worse; is there long
before anybody notices; ends by itself."""
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
    level: int = Field(default=5, ge=0, le=5)
    """Lowest level of tasks about it: 0 for looking something up, 5 for several causes at once."""
    kinds: tuple[Kind, ...] = ("RES", "DIA")
    """Kinds of tasks about it."""
    party: str | None = None
    """Who outside has to restore service; None if the operator can."""
    hand_over: bool = False
    """Whether a case may be closed while that party still works."""
    tasks: tuple[str, ...] = ()
    """Field work that may be needed for it; none if nobody has to be sent."""


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
    form: Form = "permanent"
    """How it goes on over time."""


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
    form: Form = "permanent"
    """How it goes on over time."""

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
        return Defect(self.code, element_id, tuple(sorted(details.items())), network.now, self.form)

    def cleared(self, network: Network, defect: Defect) -> bool:
        """Return whether a defect is gone."""
        return not self._as(defect).present(network, defect.element_id, dict(defect.parameters))

    def undo(self, network: Network, defect: Defect) -> None:
        """Repair a defect perfectly."""
        self._as(defect).repair(network, defect.element_id, dict(defect.parameters))

    def _as(self, defect: Defect) -> Fault:
        """Return this fault in the form that a defect has."""
        return _FORMS.get((self.code, defect.form), self)


_FAULTS: dict[str, Fault] = {}
_FORMS: dict[tuple[str, Form], Fault] = {}


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


def register_form(made: Fault) -> Fault:
    """Make another form of a fault known."""
    _FORMS[made.code, made.form] = made
    return made


def forms(code: str) -> dict[Form, Fault]:
    """Return a fault in all its forms, first as it is injected when nobody asks for one.

    Raises:
        ConfigurationError: If there is none of this code that can be injected.
    """
    natural = fault(code)
    return {natural.form: natural} | {form: made for (name, form), made in _FORMS.items() if name == code}


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
