"""A calculator: closed expressions of numbers, evaluated by simpleeval and never by Python itself.

Only numbers, `+ - * / // % ^ **`, brackets, named constants and the functions listed here are known. Powers and
factorials are bounded, so that no expression takes long, and what is no finite real number is refused.
"""

from __future__ import annotations

import ast
import json
import math
import operator
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any

from telegym.core.errors import ConfigurationError, ToolError, did_you_mean
from telegym.core.tool import Tool
from telegym.core.world import World

__all__ = ["CONSTANTS", "FUNCTIONS", "LANGUAGES", "calculate", "calculator"]

LANGUAGES = ("en", "zh")
"""Languages in which the tool describes itself."""
MAX_LENGTH = 1000
"""Longest expression, in characters."""
MAX_FACTORIAL = 170
"""Largest number whose factorial is a floating-point number."""

CONSTANTS: dict[str, float] = {"pi": math.pi, "e": math.e, "c": 299_792_458.0, "k": 1.380649e-23}
"""π, Euler's number, the speed of light in m/s, Boltzmann's constant in J/K (both exact in the SI of 2019)."""


def _log(number: float, base: float | None = None) -> float:
    return math.log(number) if base is None else math.log(number) / math.log(base)


def _factorial(number: float) -> float:
    if number != int(number) or not 0 <= number <= MAX_FACTORIAL:
        raise ValueError(f"factorial takes whole numbers from 0 to {MAX_FACTORIAL}, not {number:g}")
    return float(math.factorial(int(number)))


def _comb(total: float, chosen: float) -> float:
    if total != int(total) or chosen != int(chosen) or not 0 <= chosen <= total <= 1000:
        raise ValueError(f"comb takes whole numbers up to 1000, not {total:g} and {chosen:g}")
    return float(math.comb(int(total), int(chosen)))


FUNCTIONS: dict[str, Callable[..., float]] = {
    "sqrt": math.sqrt,
    "log10": math.log10,
    "log2": math.log2,
    "ln": math.log,
    "log": _log,
    "exp": math.exp,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "asin": math.asin,
    "acos": math.acos,
    "atan": math.atan,
    "atan2": math.atan2,
    "radians": math.radians,
    "degrees": math.degrees,
    "abs": abs,
    "min": min,
    "max": max,
    "round": round,
    "floor": math.floor,
    "ceil": math.ceil,
    "factorial": _factorial,
    "comb": _comb,
    "erf": math.erf,
    "erfc": math.erfc,
}
"""What can be called. `log` is natural unless it is given a base; angles are in radians."""


def _power(base: float, exponent: float) -> float:
    result: float | complex = float(base) ** float(exponent)
    if isinstance(result, complex):
        raise ValueError(f"{base:g} has no real power {exponent:g}")
    return result


_OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_NODES = ("Constant", "Num", "UnaryOp", "BinOp", "Call", "Name", "Expr", "Expression")


def calculate(expression: str) -> float:
    """Return the value of an expression.

    Args:
        expression: For example `10*log10(20/0.001)`; `^` and `**` are powers.

    Raises:
        ToolError: If it cannot be read, names something unknown, or has no finite real value.
        ConfigurationError: If simpleeval is not installed.
    """
    if len(expression) > MAX_LENGTH:
        raise ToolError(f"the expression has {len(expression)} characters; at most {MAX_LENGTH} are allowed")
    evaluator = _evaluator()
    text = expression.replace("^", "**").replace("×", "*").replace("·", "*").replace("÷", "/").replace("−", "-")
    try:
        value = float(evaluator.eval(text.strip()))
    except ToolError:
        raise
    except (ArithmeticError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise ToolError(f"{expression[:200]} has no value: {error}") from None
    except Exception as error:  # simpleeval's own errors, and what Python's parser says of broken expressions
        raise ToolError(_explained(expression, error)) from None
    if not math.isfinite(value):
        raise ToolError(f"{expression[:200]} is not finite")
    return value


def _evaluator() -> Any:
    """Return a fresh evaluator that knows numbers and nothing else."""
    try:
        from simpleeval import SimpleEval
    except ImportError:
        message = "the calculator needs simpleeval, which is not installed: pip install 'telegym[answers]'"
        raise ConfigurationError(message) from None
    evaluator = SimpleEval(operators=_OPERATORS, functions=FUNCTIONS, names=CONSTANTS)
    allowed = {getattr(ast, name) for name in _NODES if name in ast.__dict__}
    evaluator.nodes = {node: handler for node, handler in evaluator.nodes.items() if node in allowed}
    evaluator.nodes[ast.Constant] = _number
    return evaluator


def _number(node: ast.Constant) -> float:
    if isinstance(node.value, bool) or not isinstance(node.value, int | float):
        raise ToolError(f"{node.value!r:.40} is no number")
    return float(node.value)


def _explained(expression: str, error: Exception) -> str:
    """Return what is wrong with an expression, and the nearest name that is known."""
    unknown = getattr(error, "func_name", None) or getattr(error, "name", None)
    if isinstance(unknown, str):
        known = [*FUNCTIONS, *CONSTANTS]
        return f"{unknown[:40]!r} is not known.{did_you_mean(unknown[:40], known)} Known: {', '.join(known)}"
    return f"{expression[:200]} cannot be read: {str(error)[:200]}"


def _answer(world: World, expression: str) -> str:
    return f"{calculate(expression):.10g}"


@cache
def calculator(language: str = "en") -> Tool:
    """Return the calculator as a tool.

    Args:
        language: Language of its description, `en` or `zh`.

    Raises:
        ConfigurationError: If there is no such language.
    """
    if language not in LANGUAGES:
        raise ConfigurationError(f"no language {language!r}; valid: {', '.join(LANGUAGES)}")
    file = resources.files("telegym.tools").joinpath("texts", f"calculator-{language}.json")
    return Tool.from_schema(json.loads(file.read_text(encoding="utf-8")), _answer)
