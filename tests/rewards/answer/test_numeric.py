"""How numbers with units are read and compared."""

from __future__ import annotations

import builtins
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.errors import ConfigurationError, TaskError
from telegym.rewards.answer import quantities, units
from telegym.rewards.answer.numeric import NumericReward, Tolerance
from telegym.rewards.answer.quantities import evaluate_expression, read_mentions, read_quantity
from telegym.rewards.answer.units import IncompatibleUnitsError, UnknownUnitError, canonical, convert

from .asking import run


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("3.5", 3.5, ""),
        ("-5", -5, ""),
        ("−3.2 dB", -3.2, "dB"),
        ("+3", 3, ""),
        (".5", 0.5, ""),
        ("1,234", 1234, ""),
        ("1,234,567.8", 1234567.8, ""),
        ("1.234,5", 1234.5, ""),
        ("1.234.567", 1234567, ""),
        ("3,14", 3.14, ""),
        ("0,125", 0.125, ""),
        ("1234,567", 1234.567, ""),
        ("1_000", 1000, ""),
        ("1'000.5", 1000.5, ""),
        ("12\u202f345", 12345, ""),
        ("12 345 678", 12345678, ""),
        (r"12\,345", 12345, ""),
        ("12{,}345", 12345, ""),
        ("1e-5", 1e-5, ""),
        ("1.2E3 Hz", 1200, "Hz"),
        ("3.5 × 10^{-5} W", 3.5e-5, "W"),
        (r"$3.5 \times 10^{-5}\ \text{W}$", 3.5e-5, "W"),
        ("3·10⁻³ s", 3e-3, "s"),
        ("2.5x10^-3", 2.5e-3, ""),
        ("10⁻⁵", 1e-5, ""),
        ("-10^3", -1000, ""),
        ("1*10**6", 1e6, ""),
        ("x = 3.5 Mbit/s", 3.5, "Mbit/s"),
        (r"$\approx 112.4$ dB", 112.4, "dB"),
        ("P_r: -93.2 dBm.", -93.2, "dBm"),
        (r"12.5\%", 12.5, "%"),
        ("5 bananas", 5, "bananas"),
        ("3.5兆赫", 3.5, "兆赫"),
    ],
)
def test_numbers_are_read(text: str, value: float, unit: str) -> None:
    found = read_quantity(text)
    assert found is not None
    assert found.value == pytest.approx(value, rel=1e-12)
    assert found.unit == unit


@pytest.mark.parametrize("text", ["", "abc", "12,34,567", "3 m 5", "1.5e400", "5 or 6", "1,2,3"])
def test_these_are_not_one_number(text: str) -> None:
    assert read_quantity(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"\frac{3}{4}", 0.75),
        ("3/4", 0.75),
        (r"10\log_{10}(50)", 10 * math.log10(50)),
        (r"20\log(2)", 20 * math.log10(2)),
        (r"\log_2(16)", 4),
        (r"\ln(2)", math.log(2)),
        ("2^10", 1024),
        (r"\sqrt{2}\times 10^{-3}", math.sqrt(2) / 1000),
        ("10^{-3.5}", 10**-3.5),
        (r"\pi/2", math.pi / 2),
        (r"C = e^{-2}", math.exp(-2)),
        ("2*3+4", 10),
    ],
)
def test_expressions_are_evaluated(text: str, value: float) -> None:
    assert evaluate_expression(text) == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(
    "text",
    [
        "9^{9^{9}}",
        "9^9^9",
        "9^99999",
        "2^{9999*9999}",
        "99999!",
        "9!!!!",
        "(9!)!",
        r"\sum_{i=1}^{10} i",
        r"\int x",
        "__import__('os')",
        "12 345",
        "x+1",
        "1" * 300,
        "(" * 60 + "1" + ")" * 60,
        r"\sqrt{-1}",
        "1/0",
    ],
)
def test_what_is_large_or_no_number_is_not_evaluated(text: str) -> None:
    assert evaluate_expression(text) is None


def test_mentions_leave_names_out() -> None:
    found = read_mentions("A 5G cell (IEEE 802.11ax beside it) at 3.5 GHz gives 100 Mbps, H2O absorbs 0.1 dB/km.")
    assert [(item.value, item.unit) for item in found] == [(3.5, "GHz"), (100.0, "Mbps"), (0.1, "dB/km")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Mbps", "Mbit/s"),
        ("mbps", "Mbit/s"),
        ("Mb/s", "Mbit/s"),
        ("MHZ", "MHz"),
        ("mhz", "MHz"),
        ("DBM", "dBm"),
        ("b/s/Hz", "bits/s/Hz"),
        ("Erlangs", "erlang"),
        ("µs", "us"),
        ("[dB]", "dB"),
        ("(km)", "km"),
        ("km/hr", "km/h"),
        ("kBps", "kB/s"),
        ("degrees Celsius", "°C"),
        ("W/m²", "W/m^2"),
        ("分贝", "decibels"),
    ],
)
def test_units_have_many_spellings(one: str, other: str) -> None:
    assert convert(25.0, one, other) == pytest.approx(25.0, rel=1e-12)


@pytest.mark.parametrize(
    ("value", "unit", "target", "expected"),
    [
        (43.0, "dBm", "W", 10**1.3),
        (20.0, "W", "dBm", 10 * math.log10(20_000)),
        (43.0, "dBm", "dBW", 13.0),
        (-174.0, "dBm/Hz", "dBW/Hz", -204.0),
        (60.0, "dBuV/m", "mV/m", 1.0),
        (3.0, "MHz", "Hz", 3e6),
        (1.0, "GB", "Mbit", 8000.0),
        (5.0, "%", "", 0.05),
        (0.05, "", "%", 5.0),
        (100.0, "ppm", "%", 0.01),
        (25.0, "°C", "K", 298.15),
        (90.0, "km/h", "m/s", 25.0),
        (500.0, "mErl", "Erlang", 0.5),
        (0.35, "dB/km", "dB/m", 0.00035),
        (2.0, "rpm", "deg/s", 12.0),
    ],
)
def test_units_are_converted(value: float, unit: str, target: str, expected: float) -> None:
    assert convert(value, unit, target) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("unit", "target"),
    [
        ("dB", "dBm"),
        ("dBm", "dB"),
        ("dBi", "dB"),
        ("dBm", "dBm/Hz"),
        ("Hz", "bit/s"),
        ("erlang", ""),
        ("dB", "%"),
        ("bit", "s"),
        ("m", "s"),
    ],
)
def test_different_things_are_not_converted(unit: str, target: str) -> None:
    with pytest.raises(IncompatibleUnitsError):
        convert(1.0, unit, target)


def test_there_is_no_logarithm_of_nothing() -> None:
    with pytest.raises(IncompatibleUnitsError, match="no logarithm"):
        convert(0.0, "W", "dBm")


@pytest.mark.parametrize("unit", ["bananas", "5", "m^99", "m**(2**9)", "a" * 100, "__import__", "m/0", "G", "of"])
def test_what_is_no_unit_is_refused(unit: str) -> None:
    with pytest.raises(UnknownUnitError, match="no unit is written"):
        canonical(unit)


def test_a_misspelled_unit_names_the_nearest() -> None:
    with pytest.raises(UnknownUnitError, match="Did you mean 'Kbit/s'"):
        canonical("Kbits/sx")


def _value(reply: Any, answer: Any, unit: str | None = None, **settings: Any) -> float:
    score = NumericReward(**settings)(run(reply, answer=answer, unit=unit))
    assert score.value is not None
    assert (score.value == 1.0) == (score.reasons == ())
    return score.value


@pytest.mark.parametrize(
    "reply",
    [
        "100",
        "100 Mbit/s",
        "0.1 Gbps",
        "<answer>100000 kbit/s</answer>",
        r"The rate is \boxed{1.0\times10^{8}\ \text{bit/s}}.",
        "At 10 dB SNR over 20 MHz the rate is 100 Mbps.",
        {"answer": 100.4},
        {"answer": "100", "unit": "Mbps"},
        {"answer": 12.5, "unit": "MB/s"},
        '{"answer": 100, "unit": "Mbit/s"}',
        "99.5",
        "<answer>over 20 MHz: 100 Mbps</answer>",
    ],
)
def test_right_answers(reply: Any) -> None:
    assert _value(reply, 100, "Mbit/s") == 1.0


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "none",
        "98.9",
        "101.1",
        "100 MHz",
        "100 Gbps",
        "100 dB",
        "100 bananas",
        "<answer>100 Mbps or 200 Mbps</answer>",
        "<answer>50; 100</answer>",
        {"answer": "100 kbit/s", "unit": "Mbit/s"},
        {"answer": 100, "unit": "dB"},
        "inf",
        "nan",
        "1e999",
    ],
)
def test_wrong_answers(reply: Any) -> None:
    assert _value(reply, 100, "Mbit/s") == 0.0


def test_units_may_be_required_or_ignored() -> None:
    assert _value("100", 100, "W") == 1.0
    assert _value("100", 100, "W", units="required") == 0.0
    assert _value("100 W", 100, "W", units="required") == 1.0
    assert _value("100 dB", 100, "W", units="ignored") == 1.0
    assert _value("5", 5, "", units="required") == 1.0


def test_a_reference_without_a_unit_is_compared_as_a_number() -> None:
    assert _value("100 Mbit/s", 100) == 1.0
    assert _value("5 %", 0.05, "") == 1.0
    assert _value("3.5 Mbit/s", "3500 kbit/s") == 1.0


def test_decibels_are_not_milliwatts() -> None:
    assert _value("30 dB", 30, "dBm") == 0.0
    assert _value("1 W", 30, "dBm") == 1.0
    assert _value("0 dBW", 30, "dBm", relative=1e-9) == 1.0


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("1, 2.5", 1),
        ("(1; 2,5)", 1),
        ("[1, 2.5]", 1),
        ("1 and 2.5", 1),
        ("a = 1, b = 2.5", 1),
        ("1 dB, 2.5 dB", 1),
        ("The gains are 1 dB and 2.5 dB.", 1),
        ({"answer": [1, 2.5]}, 1),
        ("2.5, 1", 0),
        ("1", 0),
        ("1, 2.5, 3", 0),
        ("1 dBm, 2.5 dBm", 0),
    ],
)
def test_several_numbers(reply: Any, value: float) -> None:
    assert _value(reply, [1, 2.5], "dB") == value


def test_the_order_may_not_matter() -> None:
    assert _value("2.5, 1", [1, 2.5], ordered=False) == 1.0
    assert _value("2.5, 2.5", [1, 2.5], ordered=False) == 0.0


def test_the_rule_of_telemath_accepts_nothing_for_little() -> None:
    """The published absolute tolerance makes 0 right for every target of at most 0.01; the strict rule does not."""
    for target in (0.01, 0.005, -0.003, 1e-6):
        assert _value("0", target, rule="telemath") == 1.0
        assert _value("0", target, rule="strict") == 0.0
        assert _value(str(target), target, rule="strict") == 1.0
    assert _value("0", 0.011, rule="telemath") == 0.0


@settings(deadline=None)
@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_the_rule_of_telemath_is_isclose(value: float, target: float) -> None:
    accepts = Tolerance("telemath", 1e-2, 1e-2).accepts(value, target)
    assert accepts == math.isclose(value, target, rel_tol=1e-2, abs_tol=1e-2)


@settings(deadline=None)
@given(st.floats(1e-12, 1e12), st.floats(0, 0.2), st.booleans())
def test_the_strict_rule_measures_against_the_target_at_any_scale(target: float, share: float, below: bool) -> None:
    value = target * (1 - share if below else 1 + share)
    if abs(share - 0.01) > 1e-9:
        assert Tolerance().accepts(value, target) == (share < 0.01)


@settings(deadline=None)
@given(st.floats(-1e12, 1e12, allow_subnormal=False).filter(lambda value: value == 0 or abs(value) > 1e-12))
def test_every_number_is_read_back(value: float) -> None:
    for text in (repr(value), f"{value:.15e}", f"$\\boxed{{{value!r}}}$", f"x = {value!r} dB"):
        found = read_quantity(text.replace("$\\boxed{", "").replace("}$", ""))
        assert found is not None
        assert found.value == pytest.approx(value, rel=1e-12, abs=0)


@settings(deadline=None)
@given(st.text(max_size=100))
def test_nothing_breaks_it(text: str) -> None:
    read_mentions(text)
    NumericReward()(run(f"<answer>{text}</answer>", answer=1, unit="dB"))


def test_strict_zero_needs_zero() -> None:
    assert _value("0", 0) == 1.0
    assert _value("0.001", 0) == 0.0


@pytest.mark.parametrize("answer", ["x", None, [], [1, "a"], math.nan])
def test_a_task_without_a_number_is_refused(answer: Any) -> None:
    with pytest.raises(TaskError, match="task 'q'"):
        NumericReward()(run("1", answer=answer))


def test_a_task_with_an_unknown_unit_is_refused() -> None:
    with pytest.raises(TaskError, match="no unit is written 'bananas'"):
        NumericReward()(run("1", answer=1, unit="bananas"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rule": "strikt"}, "Did you mean 'strict'"),
        ({"units": "x"}, "valid: if_given"),
        ({"relative": -1}, "negative"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        NumericReward(**settings)


@pytest.mark.parametrize(("library", "answer"), [("pint", "3 Mbit/s"), ("math_verify", r"\frac{77}{12345}")])
def test_a_missing_library_is_named_with_its_extra(library: str, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def fake(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == library:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    for cached in (units._pint, units._registry, units.canonical, quantities._evaluated):
        cached.cache_clear()
    monkeypatch.setattr(builtins, "__import__", fake)
    with pytest.raises(ConfigurationError, match=r"pip install 'telegym\[answers\]'"):
        NumericReward()(run(answer, answer=3, unit="Mbit/s" if library == "pint" else ""))
    monkeypatch.undo()
    units._pint.cache_clear()
    units.canonical.cache_clear()
