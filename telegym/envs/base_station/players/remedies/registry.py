"""The registry of remedies."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.envs.base_station.players.desk import Desk, site_of
from telegym.envs.base_station.players.steps import Steps

__all__ = ["Look", "Remedy", "Work", "no_work", "register", "remedies", "remedy_of"]

Look = Callable[[Desk, str], Steps[str]]
"""Looks at an element; returns all that was read."""
Work = Callable[[Desk, str, str], Steps[str]]
"""Repairs an element, given what was read; returns how the ticket is to be closed."""


class Remedy(NamedTuple):
    """What to look at for a cause, and what to do about it."""

    look: Look
    """Reads the evidence."""
    work: Work
    """Repairs."""
    cell: Callable[[str], str | None] = lambda element: None
    """Returns the cell whose indicators show success, if there is one."""
    site: Callable[[str], str] = site_of
    """Returns the site where success shows."""


_REMEDIES: dict[str, Remedy] = {}


def register(code: str, made: Remedy) -> None:
    """Make the remedy of a cause known."""
    _REMEDIES[code] = made


def no_work(resolution: str) -> Work:
    """Return the work of a cause that needs none."""

    def work(desk: Desk, element: str, seen: str) -> Steps[str]:
        yield from ()
        return resolution

    return work


@cache
def _load() -> bool:
    package = importlib.import_module("telegym.envs.base_station.players.remedies")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return True


def remedies() -> dict[str, Remedy]:
    """Return all remedies by the code of their cause."""
    _load()
    return dict(_REMEDIES)


def remedy_of(code: str) -> Remedy:
    """Return the remedy of a cause.

    Raises:
        ConfigurationError: If there is none.
    """
    _load()
    if code not in _REMEDIES:
        raise ConfigurationError(f"no remedy for {code!r}.{did_you_mean(code, _REMEDIES)}")
    return _REMEDIES[code]
