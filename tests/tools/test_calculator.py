"""The calculator computes, and cannot be led astray."""

from __future__ import annotations

import builtins
import contextlib
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.errors import ConfigurationError, ToolError
from telegym.core.messages import ToolCall
from telegym.core.tool import CallError, Toolkit
from telegym.envs.questions.desk import Desk
from telegym.tools.calculator import CONSTANTS, FUNCTIONS, calculate, calculator


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1+2*3", 7),
        ("2^10", 1024),
        ("2**-1", 0.5),
        ("-3^2", -9),
        ("7//2", 3),
        ("7%4", 3),
        ("10*log10(20/0.001)", 10 * math.log10(20_000)),
        ("20*log10(4*pi*1e3*2.4e9/c)", 100.05),
        ("10*log10(k*290*1e6*1000)", -113.975),
        ("log(8, 2)", 3),
        ("log2(8)", 3),
        ("ln(e)", 1),
        ("factorial(5)/comb(5, 2)", 12),
        ("erfc(1)", math.erfc(1)),
        ("degrees(pi)", 180),
        ("max(1, 2, 3) - min(1, 2)", 2),
        ("1 × 2 · 3 ÷ 4 − 1", 0.5),
        (" 5 ", 5),
    ],
)
def test_expressions(expression: str, value: float) -> None:
    assert calculate(expression) == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "1+",
        "1/0",
        "sqrt(-1)",
        "(-8)^0.5",
        "9^9^9^9",
        "1e308*10",
        "factorial(171)",
        "factorial(1e9)",
        "factorial(2.5)",
        "comb(2000, 3)",
        "'a'*3",
        "[1,2]",
        "{1: 2}",
        "(1, 2)",
        "True",
        "1 if 1 else 2",
        "1 < 2",
        "a = 5",
        "pi.real",
        "'x'.upper()",
        "__import__('os')",
        "open('x')",
        "eval('1')",
        "().__class__",
        "lambda: 1",
        "[x for x in (1,)]",
        "f'{1}'",
        "1" + "+1" * 600,
        "(" * 300 + "1" + ")" * 300,
        "1e999",
        "nan",
        "1j",
    ],
)
def test_what_has_no_value_is_refused(expression: str) -> None:
    with pytest.raises(ToolError):
        calculate(expression)


@pytest.mark.parametrize(("expression", "nearest"), [("log11(5)", "log10"), ("sqr(2)", "sqrt"), ("pie", "pi")])
def test_an_unknown_name_names_the_nearest(expression: str, nearest: str) -> None:
    with pytest.raises(ToolError, match=f"Did you mean '{nearest}'"):
        calculate(expression)


@settings(deadline=None)
@given(st.text(alphabet="0123456789.+-*/^() ,epicklogsqrtab\"'[]{}_=<>", max_size=60))
def test_nothing_breaks_it(expression: str) -> None:
    with contextlib.suppress(ToolError):
        assert math.isfinite(calculate(expression))


@settings(deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_sums_and_products_are_those_of_python(one: float, other: float) -> None:
    assert calculate(f"({one!r}) + ({other!r})") == one + other
    assert calculate(f"({one!r}) * ({other!r})") == one * other


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_description_names_all_there_is(language: str) -> None:
    text = calculator(language).description
    for name in [*FUNCTIONS, *CONSTANTS]:
        assert name in text


def test_as_a_tool_it_answers_and_refuses() -> None:
    toolkit, desk = Toolkit([calculator()]), Desk()
    outcome = toolkit.execute(desk, ToolCall(id="a", name="calculator", arguments={"expression": "1/3"}))
    assert (outcome.content, outcome.error) == ("0.3333333333", None)
    refused = toolkit.execute(desk, ToolCall(id="b", name="calculator", arguments={"expression": "1/0"}))
    assert refused.error is CallError.REFUSED
    assert "has no value" in refused.content


def test_there_are_two_languages() -> None:
    with pytest.raises(ConfigurationError, match="no language 'fr'"):
        calculator("fr")


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def fake(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "simpleeval":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fake)
    with pytest.raises(ConfigurationError, match=r"pip install 'telegym\[answers\]'"):
        calculate("1")
