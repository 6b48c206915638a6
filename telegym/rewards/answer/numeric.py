"""Numeric answers: numbers with units, within a tolerance.

Two rules compare a number x with the target t.

`telemath` is the rule of the published TeleMath scorer, Python's `isclose` with both tolerances at 1e-2: x is right if
`|x - t| <= max(1e-2 * max(|x|, |t|), 1e-2)`. Its absolute tolerance accepts 0, and anything else nearby, for every
target of at most 0.01: a blocking probability, a bit error rate, a duration in seconds.

`strict` measures against the target alone: `|x - t| <= relative * |t|`; the absolute tolerance counts only where the
target is 0. A share of a level says little (1 % of -100 dBm is a whole dB), so a task may set its own tolerance, which
then takes the place of the share.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

from telegym.core.errors import ConfigurationError, TaskError, did_you_mean
from telegym.core.task import Task
from telegym.rewards.answer.base import AnswerReward, Marked, reference_of
from telegym.rewards.answer.extraction import FinalAnswer, boxed
from telegym.rewards.answer.normalisation import bare
from telegym.rewards.answer.quantities import Quantity, read_mentions, read_quantity
from telegym.rewards.answer.units import IncompatibleUnitsError, UnknownUnitError, canonical, convert, is_unit

__all__ = ["NumericReward", "Rule", "Target", "Tolerance", "UnitRule", "mark_numbers"]

Rule = Literal["strict", "telemath"]
"""How a number is compared with the target."""
UnitRule = Literal["if_given", "required", "ignored"]
"""Whether an answer needs a unit: one without is read in the target's, or is wrong, or units are not looked at."""

_SEPARATORS = re.compile(r"\s*(?:;|；|、|\n|,\s+|，|\band\b|和)\s*")
_DECLARED = re.compile(
    r"(?:\b(?:answer|result)\b|答案|结果)[^.\n\d]{0,40}?(?:\bis\b|\bequals\b|[:：=≈]|为|是)+", re.IGNORECASE
)
"""Words after which the answer comes."""


class Tolerance(NamedTuple):
    """How near is near enough."""

    rule: Rule = "strict"
    """How a number is compared with the target."""
    relative: float = 1e-2
    """Allowed difference as a share of the target."""
    absolute: float = 1e-9
    """Allowed difference in the target's unit; for `strict` only where the target is 0."""

    def accepts(self, value: float, target: float, own: float | None = None) -> bool:
        """Return whether a value is near enough to the target.

        Args:
            value: The value.
            target: The target.
            own: The task's own tolerance in the target's unit, for `strict`.
        """
        if not math.isfinite(value):
            return False
        if self.rule == "telemath":
            return math.isclose(value, target, rel_tol=self.relative, abs_tol=self.absolute)
        allowed = own if own is not None else self.relative * abs(target) if target else self.absolute
        return abs(value - target) <= allowed * (1 + 1e-12)


class Target(NamedTuple):
    """What is right."""

    values: tuple[float, ...]
    """The numbers, in order."""
    unit: str | None = None
    """Their unit; empty for plain numbers, None if it is not known: then units are not looked at."""
    ordered: bool = True
    """Whether several numbers have to come in this order."""
    tolerance: float | None = None
    """Allowed difference in the unit, instead of a share of the number; for the rule `strict`."""


class _Reading(NamedTuple):
    values: tuple[float, ...] | None
    problem: str = ""


def mark_numbers(answer: FinalAnswer, target: Target, tolerance: Tolerance, units: UnitRule = "if_given") -> Marked:
    """Return what a numeric answer is worth.

    Args:
        answer: The answer.
        target: What is right.
        tolerance: How near is near enough.
        units: Whether the answer needs a unit.
    """
    reading = _read(answer, target, units)
    if reading.values is None:
        return Marked(False, False, reading.problem)
    if len(reading.values) != len(target.values):
        return Marked(False, True, f"{len(target.values)} numbers are asked, not {len(reading.values)}")
    given, wanted = reading.values, target.values
    if not target.ordered:
        given, wanted = tuple(sorted(given)), tuple(sorted(wanted))
    for value, right in zip(given, wanted, strict=True):
        if not tolerance.accepts(value, right, target.tolerance):
            unit = f" {target.unit}" if target.unit else ""
            return Marked(False, True, f"the answer is {right:.6g}{unit}, not {value:.6g}{unit}")
    return Marked(True, True)


def _read(answer: FinalAnswer, target: Target, units: UnitRule) -> _Reading:
    """Return the numbers of an answer in the target's unit."""
    text = answer.text or ""
    text = _json_answer(boxed(text)[-1] if boxed(text) else text)
    found = _several(text, target) if len(target.values) > 1 else _single(text, answer, target)
    if isinstance(found, str):
        return _Reading(None, found)
    try:
        return _Reading(tuple(_in_unit(item, answer.unit, target, units) for item in found))
    except (UnknownUnitError, IncompatibleUnitsError, OverflowError) as error:
        return _Reading(None, str(error))


def _json_answer(text: str) -> str:
    """Return the answer inside a JSON object, number or list, as text."""
    try:
        value: Any = json.loads(bare(text))
    except (ValueError, RecursionError):
        return text
    if isinstance(value, dict):
        unit = value.get("unit") or ""
        inner = next((value[key] for key in ("answer", "final_answer", "value", "result") if key in value), None)
        return f"{_flat(inner)} {unit}".strip() if inner is not None else text
    return _flat(value)


def _flat(value: Any) -> str:
    return "; ".join(str(item) for item in value) if isinstance(value, list) else str(value)


def _single(text: str, answer: FinalAnswer, target: Target) -> list[Quantity] | str:
    quantity = read_quantity(bare(text))
    if quantity is not None:
        return [quantity]
    declared = None if answer.marked else list(_DECLARED.finditer(text))
    if declared:
        said = _fitting(read_mentions(text[declared[-1].end() :]), target)
        if said:
            return said[:1]
    found = _fitting(read_mentions(text), target)
    if not found:
        return "there is no number in the answer"
    if answer.marked and len({item.value for item in found}) > 1:
        return f"the answer holds {len(found)} different numbers, but one is asked"
    return [found[-1]]


def _fitting(found: list[Quantity], target: Target) -> list[Quantity]:
    """Return the quantities that measure what is asked, where any does: the others are what the answer is based on."""
    if target.unit is None:
        return found
    fitting = [item for item in found if item.unit and _compatible(item.unit, target.unit)]
    return fitting or [item for item in found if not item.unit] or found


def _compatible(unit: str, target: str) -> bool:
    try:
        convert(1.0, unit, target)
    except (UnknownUnitError, IncompatibleUnitsError):
        return False
    return True


def _several(text: str, target: Target) -> list[Quantity] | str:
    """Read an answer of several numbers: a list, or a sentence that mentions just so many."""
    inner = bare(text).strip("[](){} ")
    parts = [read_quantity(part) for part in _SEPARATORS.split(inner) if part.strip()]
    if None not in parts and len(parts) != 1:
        found = [part for part in parts if part is not None]
    else:
        found = _fitting(read_mentions(text), target)
    if not found:
        return "there is no number in the answer"
    last = found[-1].unit
    return [item if item.unit else Quantity(item.value, last) for item in found]


def _in_unit(found: Quantity, separate: str, target: Target, units: UnitRule) -> float:
    """Return a number in the target's unit.

    Raises:
        UnknownUnitError: If the unit does not exist.
        IncompatibleUnitsError: If it is missing but required, or measures something else.
    """
    if units == "ignored" or target.unit is None:
        return found.value
    unit = found.unit or separate
    if found.unit and separate and canonical(found.unit) != canonical(separate):
        raise IncompatibleUnitsError(f"the answer is given in {found.unit} and in {separate}")
    if unit:
        return convert(found.value, unit, target.unit)
    if units == "required" and target.unit:
        raise IncompatibleUnitsError(f"the answer needs its unit, {target.unit}")
    return found.value


def check_choice(name: str, value: str, valid: Sequence[str]) -> None:
    """Refuse a value that is not one of a few.

    Raises:
        ConfigurationError: If it is not; the message names the nearest.
    """
    if value not in valid:
        raise ConfigurationError(f"{name} is {value!r}; valid: {', '.join(valid)}.{did_you_mean(str(value), valid)}")


class NumericReward(AnswerReward):
    """1 for the right number or numbers, 0 for others and for none.

    Args:
        rule: `strict` or `telemath`.
        relative: Allowed difference as a share of the target, 0 or more.
        absolute: Allowed difference in the target's unit, 0 or more; by default 1e-2 for `telemath` and 1e-9 for
            `strict`, which uses it only where the target is 0.
        units: `if_given`, `required` or `ignored`.
        ordered: Whether several numbers have to come in the order of the reference.
        sources: Where the answer may stand, in order of preference: tool, tag, boxed, text.
        tools: Tools whose calls give the answer.
        argument: The argument of these tools that holds it.
        tag: Name of the tags around an answer.
        once: Whether the tags have to occur exactly once.
        reference: The key of the task's data with the right number, a list of numbers, or text such as `3.5 Mbit/s`.
        unit: The key of the task's data with the unit of the reference; tasks may do without it.
        tolerance: The key of the task's data with a tolerance of its own, in the unit of the reference, which `strict`
            uses instead of the share; tasks may do without it.

    Raises:
        ConfigurationError: If a setting has no valid value.
    """

    name = "numeric"

    def __init__(
        self,
        *,
        rule: Rule = "strict",
        relative: float = 1e-2,
        absolute: float | None = None,
        units: UnitRule = "if_given",
        ordered: bool = True,
        sources: Sequence[str] = ("tool", "tag", "boxed", "text"),
        tools: Sequence[str] = ("submit_answer",),
        argument: str = "answer",
        tag: str = "answer",
        once: bool = False,
        reference: str = "answer",
        unit: str = "unit",
        tolerance: str = "tolerance",
    ) -> None:
        super().__init__(sources=sources, tools=tools, argument=argument, tag=tag, once=once, reference=reference)
        check_choice("rule", rule, get_args(Rule))
        check_choice("units", units, get_args(UnitRule))
        absolute = (1e-2 if rule == "telemath" else 1e-9) if absolute is None else absolute
        if not (relative >= 0 and absolute >= 0):
            raise ConfigurationError(f"tolerances must not be negative: relative {relative}, absolute {absolute}")
        self.tolerance = Tolerance(rule, relative, absolute)
        self.units: UnitRule = units
        self.ordered = ordered
        self.unit = unit
        self.own_tolerance = tolerance

    def mark(self, answer: FinalAnswer, task: Task) -> Marked:
        """Return what an answer is worth.

        Raises:
            TaskError: If the task's reference is no number, or its unit does not exist.
        """
        return mark_numbers(answer, self.target(task), self.tolerance, self.units)

    def target(self, task: Task) -> Target:
        """Return what is right for a task.

        Raises:
            TaskError: If the task's reference is no number, or its unit does not exist.
        """
        given = reference_of(task, self.reference)
        unit: str | None = task.data.get(self.unit)
        if isinstance(given, str):
            read = read_quantity(given)
            given, unit = (read.value, unit or read.unit or None) if read is not None else (None, unit)
        values = given if isinstance(given, list) else [given]
        if not values or not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
            raise TaskError(f"task {task.id!r}: {self.reference} is {task.data[self.reference]!r}, which is no number")
        if unit is not None and not is_unit(unit):
            raise TaskError(f"task {task.id!r}: no unit is written {unit!r}")
        own: float | None = task.data.get(self.own_tolerance)
        return Target(tuple(float(value) for value in values), unit, self.ordered, own)
