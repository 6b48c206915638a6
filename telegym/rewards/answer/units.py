"""Units of answers: which there are, and how one turns into another.

dB is a ratio, dBm a power, dBi an antenna gain: none turns into another. dBm and dBW turn into watts and back. Rates,
information and traffic have dimensions of their own, so that bit/s is not Hz and erlang is not a number.
"""

from __future__ import annotations

import math
import re
import threading
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.rewards.answer._extra import needs_extra

if TYPE_CHECKING:
    import pint

__all__ = ["IncompatibleUnitsError", "UnknownUnitError", "canonical", "convert", "is_unit"]

MAX_LENGTH = 40
"""Longest text that is read as a unit, in characters."""

_WORD = 4
"""A unit of so many letters is a word, whose case does not matter."""

_ALLOWED = re.compile(r"[A-Za-zµμΩ_][\w\s/·.*^()²³µμΩ+-]*")
_EXPONENT = re.compile(r"(?:\*\*|\^)\s*(?:\(\s*-?\d\s*\)|-?\d(?:\.\d)?)(?![\d*^])")
_LOCK = threading.Lock()


class UnknownUnitError(ValueError):
    """No unit is written like this."""


class IncompatibleUnitsError(ValueError):
    """The units measure different things."""


def is_unit(text: str) -> bool:
    """Return whether a text is a unit; no text at all is the unit of plain numbers."""
    try:
        canonical(text)
    except UnknownUnitError:
        return False
    return True


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """Return the one spelling of a unit that `convert` works with; empty for plain numbers.

    Raises:
        UnknownUnitError: If there is no such unit.
        ConfigurationError: If pint is not installed.
    """
    written = _stripped(text)
    if not written:
        return ""
    aliases, logarithmic = _aliases(), _logarithmic()
    joined = written.replace(" ", "")
    unit = aliases.get(written) or aliases.get(joined) or (joined if joined in logarithmic else written)
    found = unit if unit in logarithmic else _parsed(unit)
    if found is not None:
        return found
    # Only now: `mHz` is a unit of its own, `MHZ` and `DBM` are not.
    unit = aliases.get(written.casefold(), "")
    unit = unit or (written.casefold() if len(written) >= _WORD and written.isalpha() else "")
    found = unit if unit in logarithmic else _parsed(unit)
    if found is None:
        hint = did_you_mean(written[:MAX_LENGTH], [*aliases, *logarithmic])
        raise UnknownUnitError(f"no unit is written {written[:MAX_LENGTH]!r}.{hint}")
    return found


def _stripped(text: str) -> str:
    """Return the text of a unit without brackets around it and a stop after it."""
    unit = " ".join(text.split()).rstrip(".").strip()
    for opening, closing in ("[]", "()"):
        if unit.startswith(opening) and unit.endswith(closing) and unit.count(opening) == 1:
            unit = unit[1:-1].strip()
    return unit


def _parsed(unit: str) -> str | None:
    """Return pint's name of a unit; None if there is none."""
    unit = unit.replace("²", "^2").replace("³", "^3").replace("·", "*").replace("°C", "degC").replace("°", "degree")
    if not 0 < len(unit) <= MAX_LENGTH or not _ALLOWED.fullmatch(unit) or not _small_exponents(unit):
        return None
    registry = _registry()
    try:
        with _LOCK:
            return str(registry.parse_units(unit))
    except Exception:  # pint raises many kinds: undefined units, syntax errors of its tokenizer, divisions by zero
        return None


def _small_exponents(unit: str) -> bool:
    return unit.count("^") + unit.count("**") == len(_EXPONENT.findall(unit))


def convert(value: float, unit: str, target: str) -> float:
    """Return what a value of one unit is in another.

    Args:
        value: The value.
        unit: Its unit; empty for a plain number.
        target: The unit wanted.

    Raises:
        UnknownUnitError: If there is no such unit.
        IncompatibleUnitsError: If the units measure different things, or no logarithm can be taken.
    """
    source, wanted = canonical(unit), canonical(target)
    if source == wanted:
        return value
    given, asked = _logarithmic().get(source), _logarithmic().get(wanted)
    try:
        linear = 10 ** (value / given["factor"]) if given else value
        linear = _linear(linear, given["reference"] if given else source, asked["reference"] if asked else wanted)
    except _pint().DimensionalityError:
        names = f"{unit or 'a plain number'} does not turn into {target or 'a plain number'}"
        raise IncompatibleUnitsError(names) from None
    except (OverflowError, ZeroDivisionError) as error:
        raise IncompatibleUnitsError(f"{value:g} {unit} is out of range: {error}") from None
    if asked is None:
        return linear
    if not linear > 0:
        raise IncompatibleUnitsError(f"{value:g} {unit} is not positive and has no logarithm")
    return float(asked["factor"] * math.log10(linear))


def _linear(value: float, unit: str, target: str) -> float:
    with _LOCK:
        registry = _registry()
        quantity = registry.Quantity(value, registry.parse_units(unit or "count"))
        return float(quantity.to(registry.parse_units(target or "count")).magnitude)


@cache
def _pint() -> Any:
    try:
        import pint
    except ImportError:
        raise needs_extra("pint", "units of answers") from None
    return pint


@cache
def _registry() -> pint.UnitRegistry[float]:
    text = resources.files(__package__ or "").joinpath("units.txt").read_text(encoding="utf-8")
    registry: pint.UnitRegistry[float] = _pint().UnitRegistry(None)
    registry.load_definitions([line for line in text.splitlines() if line and not line.startswith("#")])
    return registry


@cache
def _tables() -> dict[str, Any]:
    import yaml

    text = resources.files(__package__ or "").joinpath("units.yaml").read_text(encoding="utf-8")
    tables: dict[str, Any] = yaml.safe_load(text)
    if set(tables) != {"logarithmic", "aliases"}:
        raise ConfigurationError(f"units.yaml holds {', '.join(tables)}, but must hold logarithmic and aliases")
    return tables


def _logarithmic() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = _tables()["logarithmic"]
    return found


@cache
def _aliases() -> dict[str, str]:
    return {str(written): str(unit) for written, unit in _tables()["aliases"].items()}
