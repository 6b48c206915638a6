"""Whether an answer is right: tolerant of how it is written, strict about what it says.

Numbers may carry a unit of the same dimension, thousands separators and words like "about"; ids may come in any order
and case; `yes` and `no` may be Chinese. An answer that holds more than was asked for is wrong: several numbers where
one is wanted, or ids beyond the right ones.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from telegym.envs.base_station.questions.expected import NOT_AVAILABLE

__all__ = ["check_answer"]

MAX_LENGTH = 400
"""Longest answer that is looked at, in characters."""
_NOTHING = frozenset(
    {NOT_AVAILABLE, "not available", "not-available", "n/a", "无法获得", "无法得知", "不可得", "无此数据"}
)
_YES = frozenset({"yes", "y", "true", "是", "是的", "会", "能", "可以", "够", "满足", "早于"})
_NO = frozenset({"no", "n", "false", "否", "不是", "不", "不会", "不能", "不可以", "不够", "不满足", "晚于"})
_STOP = frozenset(
    {
        *("and", "the", "is", "are", "it", "cell", "cells", "site", "sites", "node", "link", "router", "licence"),
        *(
            "licences",
            "technician",
            "object",
            "小区",
            "站点",
            "基站",
            "节点",
            "链路",
            "路由器",
            "许可证",
            "和",
            "与",
            "及",
        ),
    }
)
"""Words around ids that say nothing."""
_NEAR = re.compile(
    r"(?:about|approx\.?|approximately|around|circa|roughly|answer|=|:|~|≈|约|大约|约为|是|为|答案|\s)*", re.I
)
_NUMBER = re.compile(r"(?<![A-Za-z0-9_.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d{1,2})?(?![\d])", re.I)
_THOUSANDS = re.compile(r"(?<![\d.,])(\d{1,3}(?:[,' ]\d{3})+)(?![\d])")
_DECIMAL_COMMA = re.compile(r"^(\D*\d+),(\d{1,2})(?!\d)(\D*)$")
_SEPARATORS = re.compile(r"[,;、|/\n\s]+")
_CJK = re.compile(r"([\u4e00-\u9fff]+)")

_UNITS: dict[str, tuple[str, float, tuple[str, ...]]] = {
    # name: dimension, size, other ways to write it
    "s": ("time", 1.0, ("sec", "second", "seconds", "秒")),
    "min": ("time", 60.0, ("mins", "minute", "minutes", "分钟", "分")),
    "h": ("time", 3600.0, ("hr", "hrs", "hour", "hours", "小时", "时")),
    "ms": ("time", 1e-3, ("millisecond", "milliseconds", "毫秒")),
    "us": ("time", 1e-6, ("microsecond", "microseconds", "μs", "µs", "微秒")),
    "ns": ("time", 1e-9, ("nanosecond", "nanoseconds", "纳秒")),
    "Hz": ("frequency", 1.0, ("hertz", "赫兹")),
    "kHz": ("frequency", 1e3, ("千赫",)),
    "MHz": ("frequency", 1e6, ("megahertz", "兆赫", "兆赫兹")),
    "GHz": ("frequency", 1e9, ("gigahertz", "吉赫")),
    "dB": ("ratio", 1.0, ("decibel", "decibels", "分贝")),
    "dBm": ("level", 1.0, ("dbm/prb", "分贝毫瓦")),
    "W": ("power", 1.0, ("watt", "watts", "瓦", "瓦特")),
    "kW": ("power", 1e3, ("kilowatt", "kilowatts", "千瓦")),
    "Wh": ("energy", 1.0, ("瓦时",)),
    "kWh": ("energy", 1e3, ("千瓦时", "度")),
    "MWh": ("energy", 1e6, ("兆瓦时",)),
    "kbit/s": ("rate", 1e3, ("kbps",)),
    "Mbit/s": ("rate", 1e6, ("mbps", "mb/s", "兆比特每秒")),
    "Gbit/s": ("rate", 1e9, ("gbps", "gb/s", "吉比特每秒")),
    "%": ("share", 0.01, ("percent", "per cent", "pct", "百分之")),
    "share": ("share", 1.0, ("probability", "比例", "概率")),
    "users": ("users", 1.0, ("user", "connected users", "用户", "个用户", "人", "个")),
}
_SPELLED = {
    spelling.casefold(): (dimension, size)
    for name, (dimension, size, others) in _UNITS.items()
    for spelling in (name, *others)
}
_COUNTED = frozenset({"alarm", "alarms", "critical alarms", "cells", "cell", "个", "条", "项", "条告警", "个小区", ""})
"""What may be counted: words after a whole number."""


def check_answer(expected: Mapping[str, Any], text: str, unit: str = "") -> bool:
    """Return whether an answer is right.

    Args:
        expected: What `Expected.as_dict` gave.
        text: The answer.
        unit: Its unit, if it was given apart.
    """
    tidy = _tidy(text)
    if not tidy or len(tidy) > MAX_LENGTH:
        return False
    checks: dict[str, Callable[[Mapping[str, Any], str, str], bool]] = {
        "number": _number,
        "count": _count,
        "id": _ids,
        "set": _ids,
        "pair": _ids,
        "yes_no": _yes_no,
        "parts": _parts,
        "not_available": _nothing,
    }
    return checks[expected["kind"]](expected, tidy, _tidy(unit))


def _tidy(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).replace("−", "-").replace("–", "-").strip()
    return plain.strip("\"'`*").rstrip(".。!").strip()


def _nothing(expected: Mapping[str, Any], text: str, unit: str) -> bool:
    return text.casefold() in _NOTHING


def _yes_no(expected: Mapping[str, Any], text: str, unit: str) -> bool:
    said = text.casefold()
    return said in (_YES if expected["value"] == "yes" else _NO)


# --- ids ------------------------------------------------------------------------------------------------


def _words(text: str) -> set[str]:
    spaced = _CJK.sub(r" \1 ", text).casefold()
    return {word.strip(".()[]\"'`") for word in _SEPARATORS.split(spaced)} - _STOP - {""}


def _ids(expected: Mapping[str, Any], text: str, unit: str) -> bool:
    wanted = [expected["value"]] if expected["kind"] == "id" else expected["value"]
    return _words(text) == {name.casefold() for name in wanted}


# --- numbers --------------------------------------------------------------------------------------------


def _number(expected: Mapping[str, Any], text: str, unit: str) -> bool:
    found = _read_number(text)
    if found is None:
        return False
    value, written = found
    sizes = [_size(item, expected["unit"]) for item in (written, unit) if item]
    if None in sizes or len(set(sizes)) > 1:
        return False
    given = value * (sizes[0] or 1.0) if sizes else value
    target = float(expected["value"])
    allowed = max(float(expected["absolute"]), float(expected["relative"]) * abs(target))
    return abs(given - target) <= allowed + 1e-9


def _read_number(text: str) -> tuple[float, str] | None:
    """Return the only number of a text and what stands behind it; None if there are several, or other words."""
    plain = _THOUSANDS.sub(lambda found: re.sub(r"[,' ]", "", found[1]), text)
    plain = _DECIMAL_COMMA.sub(r"\1.\2\3", plain)
    found = list(_NUMBER.finditer(plain))
    if len(found) != 1:
        return None
    before, behind = plain[: found[0].start()], plain[found[0].end() :].strip()
    if not _NEAR.fullmatch(before) or any(character.isdigit() for character in behind):
        return None
    return float(found[0][0]), behind


def _size(written: str, unit: str) -> float | None:
    """Return how many of one unit another one is; None if it is no unit of the same kind."""
    known, wanted = _SPELLED.get(written.casefold().strip()), _SPELLED.get(unit.casefold())
    if known is None or wanted is None or known[0] != wanted[0]:
        return None
    return known[1] / wanted[1]


def _count(expected: Mapping[str, Any], text: str, unit: str) -> bool:
    found = _read_number(text)
    if found is None or found[1].casefold() not in _COUNTED or unit.casefold() not in _COUNTED:
        return False
    return found[0] == float(expected["value"])


# --- several answers ------------------------------------------------------------------------------------


def _parts(expected: Mapping[str, Any], text: str, unit: str) -> bool:
    wanted = expected["value"]
    numbers = sum(part["kind"] == "number" for part in wanted)
    # One unit can only belong to one number.
    units = [unit if part["kind"] == "number" and numbers == 1 else "" for part in wanted]
    return any(
        len(pieces) == len(wanted) and all(map(check_answer, wanted, pieces, units))
        for pieces in _pieces(text, len(wanted))
    )


def _pieces(text: str, wanted: int) -> Iterator[list[str]]:
    """Yield ways to cut a text at its commas; a comma may also separate thousands, and the last piece hold several."""
    plain = _THOUSANDS.sub(lambda found: re.sub(r"[,' ]", "", found[1]), text)
    for form in dict.fromkeys((text, plain)):
        yield [piece.strip() for piece in re.split(r"[,;、\n]+|\band\b", form, maxsplit=wanted - 1)]
