r"""Numbers with units, as people and models write them.

Read are thousands separators, decimal commas where they cannot be separators, scientific notation in its usual forms,
LaTeX, and, through math-verify, closed expressions such as `\frac{3}{4}` and `10\log_{10}(50)`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from telegym.rewards.answer._extra import needs_extra
from telegym.rewards.answer.units import is_unit

__all__ = ["Quantity", "evaluate_expression", "plain", "read_mentions", "read_number", "read_quantity"]


class Quantity(NamedTuple):
    """A number with its unit."""

    value: float
    """The number."""
    unit: str = ""
    """The unit as it was written; empty if there was none."""


_SUPERSCRIPT = re.compile(r"[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_SUPERSCRIPTS = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "+-0123456789")
_GROUP_SPACE = re.compile(r"(?<=\d)(?:[\u2009\u202f\u00a0]|\\[,;:!]|\{,\}(?=\d{3}(?!\d)))(?=\d{3}(?!\d))")
_LATEX_TEXT = re.compile(r"\\(?:text|mathrm|mathbf|textbf|textit|mathit|operatorname|mbox|rm|unit|si)\s*\{([^{}]*)\}")
_LATEX: tuple[tuple[str, str], ...] = (
    (r"\\(?:left|right|displaystyle|quad|qquad|big|Big)(?![A-Za-z])", " "),
    (r"\\(?:times|cdot)(?![A-Za-z])", "×"),
    (r"\\(?:approx|simeq|sim)(?![A-Za-z])", "≈"),
    (r"\\mu(?![A-Za-z])", "µ"),
    (r"\\Omega(?![A-Za-z])", "Ω"),
    (r"\^\{?\\circ\}?", "°"),
    (r"\\%", "%"),
    (r"\\[,;:! ]|~", " "),
    (r"\{,\}", ","),
    (r"\$|\*\*(?=\D|$)|`", ""),
)

_POWER = r"10\s*(?:\^|\*\*)\s*[{(]?\s*(?P<NAME>[+-]?\d{1,3})\s*[)}]?"
_MANTISSA = r"(?P<mantissa>[+-]?(?:\d(?:[\d.,'_]*\d)?|\.\d+))(?P<e>[eE][+-]?\d{1,3}(?![\d.]))?"
_ALONE, _FACTOR = _POWER.replace("NAME", "alone"), _POWER.replace("NAME", "power")
_NUMBER = re.compile(rf"(?<![A-Za-z0-9_.^])(?:(?P<sign>[+-])?{_ALONE}|{_MANTISSA}(?:\s*[×xX*·]\s*{_FACTOR})?)")
_SPACED = re.compile(r"(?<![\d.,])(\d{1,3}(?: \d{3})+)(?![\d])")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?P<mark>[,.'_])\d{3}(?:(?P=mark)\d{3})*")


def plain(text: str) -> str:
    """Return a text whose numbers are written plainly, without LaTeX and compatible characters: `3.5×10^-5 MHz`."""
    text = _SUPERSCRIPT.sub(lambda match: "^" + match[0].translate(_SUPERSCRIPTS), text)
    text = _GROUP_SPACE.sub("", text)
    text = unicodedata.normalize("NFKC", text).replace("−", "-").replace("–", "-").replace("‒", "-").replace("⋅", "×")
    while (shorter := _LATEX_TEXT.sub(r"\1", text)) != text:
        text = shorter
    for pattern, replacement in _LATEX:
        text = re.sub(pattern, replacement, text)
    return " ".join(text.split())


def read_number(token: str) -> float | None:
    """Return the number that digits with separators mean; None if they mean none, or could mean two.

    `1,234` is 1234 and `1,234,567.8` has thousands separators; a comma is a decimal one where it cannot be that
    (`3,14`, `0,125`, `1234,567`, `1.234,5`).
    """
    whole, _, exponent = token.replace("E", "e").partition("e")
    number = _digits(whole)
    return None if number is None else float(f"{number}e{exponent}" if exponent else number)


def _digits(token: str) -> str | None:
    """Return digits in the form that Python reads."""
    if re.fullmatch(r"[+-]?(?:\d+\.?\d*|\.\d+)", token):
        return token
    for decimal, mark in ((".", ","), (",", "."), (".", "'"), (".", "_")):
        head, point, tail = token.partition(decimal)
        grouped = _GROUPED.fullmatch(head)
        if (
            grouped
            and grouped["mark"] == mark
            and (not point or tail.isdecimal())
            and not head.lstrip("+-").startswith("0")
        ):
            return head.replace(mark, "") + (f".{tail}" if point else "")
    if re.fullmatch(r"[+-]?\d+,\d+", token):
        return token.replace(",", ".")
    return None


def read_quantity(text: str) -> Quantity | None:
    """Return the quantity that a text is, with nothing but a name and `=` before it; None if it is something else.

    The unit is kept as it was written, known or not.
    """
    cleaned = re.sub(r"\A.*[=≈:]\s*(?=\S)", "", plain(text)).rstrip(" .。;,")
    cleaned = _SPACED.sub(lambda spaced: spaced[0].replace(" ", ""), cleaned)
    match = _NUMBER.match(cleaned)
    if match is not None:
        value = _value(match)
        rest = cleaned[match.end() :].strip()
        if value is not None and (not rest or _looks_like_unit(rest)):
            return Quantity(value, rest)
    value = evaluate_expression(text)
    return None if value is None else Quantity(value)


def _looks_like_unit(text: str) -> bool:
    return is_unit(text) or re.fullmatch(r"[A-Za-zµμΩ°%‰][^\d=+]{0,39}", text) is not None


def read_mentions(text: str) -> list[Quantity]:
    """Return all quantities that a text mentions, in order; digits inside names such as 5G or 802.11 are none."""
    return list(_mentions(plain(text)))


def _mentions(text: str) -> Iterator[Quantity]:
    for match in _NUMBER.finditer(text):
        value = _value(match)
        rest = text[match.end() :]
        unit = _unit_at(rest)
        attached = bool(rest) and (rest[0].isalpha() or rest[0] == "_") and rest[0].isascii()
        if value is not None and (unit or not attached) and not re.match(r"\s*[(/^*×]\s*\d", rest):
            yield Quantity(value, unit)


_UNIT_WORDS = re.compile(r"[ -]?([^\s,;，；。:：()=]+(?:\s[^\s,;，；。:：()=]+){0,2})")


def _unit_at(rest: str) -> str:
    """Return the longest unit at the beginning of what follows a number."""
    match = _UNIT_WORDS.match(rest)
    if match is None:
        return ""
    words = match[1].split(" ")
    for count in range(len(words), 0, -1):
        candidate = " ".join(words[:count]).rstrip(".!?*")
        if candidate and (candidate.isascii() or len(candidate) < 12) and is_unit(candidate):
            return candidate
    first = words[0]
    return next(
        (first[:size] for size in range(min(len(first), 6), 0, -1) if not first.isascii() and is_unit(first[:size])), ""
    )


def _value(match: re.Match[str]) -> float | None:
    if match["alone"] is not None:
        return float(f"{match['sign'] or ''}1e{match['alone']}")
    number = read_number(match["mantissa"] + (match["e"] or ""))
    if number is None or not math.isfinite(number):
        return None
    if match["power"] is None:
        return number
    return float(f"{number!r}e{match['power']}") if "e" not in repr(number) else number * 10.0 ** int(match["power"])


# --- expressions -------------------------------------------------------------------------------------

MAX_EXPRESSION = 200
"""Longest expression that is evaluated, in characters."""
_COMMANDS = r"\\(?:d?t?frac|sqrt|cdot|times|div|left|right|pi|log|ln|lg|exp|sin|cos|tan|[,;:! ])(?![A-Za-z])"
_EXPRESSION = re.compile(rf"(?:{_COMMANDS}|pi|sqrt|e|[\d\s.+\-*/^(){{}}\[\]_×·]|!(?!!))+")
_EXPONENTS = re.compile(r"(?:\^|\*\*)\s*(?:\{(?P<group>[^{}]*)\}|\((?P<round>[^()]*)\)|(?P<bare>-?[\d.]+|[a-z]|\\pi))")
_DEAR = re.compile(r"\d{4,}\s*!|[)}]\s*!|\d\s+[\d.]|\d\s*e(?!\s*\^)")
"""Large factorials; and what only looks like an expression: digits in groups, numbers too large for an exponent."""
_SAFE_EXPONENT = re.compile(r"[-+\s\d.()]*(?:/[\d.\s]+)?|e|\\?pi")


def evaluate_expression(text: str) -> float | None:
    r"""Return the value of a closed expression in LaTeX or plain text; None if it is not one, or too large to compute.

    Only numbers, `+ - * / ^`, roots, logarithms (`\log` has base 10 unless it names one), powers and the circular
    functions are evaluated; exponents are at most four digits long, so that no expression takes long.
    """
    expression = text.strip().strip("$").replace("**", "^").replace("−", "-").strip().rstrip(".")
    expression = re.sub(r"\A.*(?:=|≈|\\approx)\s*", "", expression, flags=re.DOTALL)
    if not 0 < len(expression) <= MAX_EXPRESSION or not re.search(r"\d|\\?pi", expression):
        return None
    if not _EXPRESSION.fullmatch(expression) or not _cheap(expression):
        return None
    return _evaluated(expression)


def _cheap(expression: str) -> bool:
    """Return whether an expression cannot take long: small exponents, none on top of another, small factorials."""
    exponents = list(_EXPONENTS.finditer(expression))
    if len(exponents) != expression.count("^") or _DEAR.search(expression):
        return False
    for match in exponents:
        inner = match["group"] or match["round"] or match["bare"] or ""
        if not _SAFE_EXPONENT.fullmatch(inner) or re.search(r"\d{5,}", inner):
            return False
        if expression[match.end() :].lstrip().startswith(("^", "!")):
            return False
    return len(re.findall(r"[(\[{]", expression)) <= 30 and not re.search(r"\d{31,}", expression)


@lru_cache(maxsize=4096)
def _evaluated(expression: str) -> float | None:
    try:
        from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse
    except ImportError:
        raise needs_extra("math-verify", "expressions as answers") from None
    try:
        found = parse(
            f"${expression}$",
            extraction_config=[LatexExtractionConfig(), ExprExtractionConfig()],
            fallback_mode="no_fallback",
            parsing_timeout=None,  # its timeout is a signal, which only a main thread may set; `_cheap` bounds the work
            raise_on_error=True,
        )
        value = complex(found[0].evalf()) if found and hasattr(found[0], "evalf") else None
    except Exception:  # the grammar raises what it likes on what it cannot read: then it is no expression
        return None
    if value is None or abs(value.imag) > 1e-12 or not math.isfinite(value.real):
        return None
    return value.real
