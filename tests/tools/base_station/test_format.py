"""Results as text: what is shown, what is left out, and how it is said."""

from __future__ import annotations

import pytest

from telegym.core.errors import ToolError
from telegym.tools.base_station import _format as form
from telegym.tools.base_station._errors import Code, not_found, refusal
from telegym.tools.base_station._format import FULL, HARD_LIMIT, TERSE, Report


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (None, "-"),
        ("", "-"),
        ("x", "x"),
        (True, "true"),
        (False, "false"),
        (3, "3"),
        (2.5, "2.5"),
        (2.50004, "2.5"),
        (46.0, "46"),
        (-0.00001, "0"),
        (150_000.0, "150000"),
        (("a", 1), "a|1"),
        ((), "-"),
        (Code.NO_CHANGE, "NO_CHANGE"),
    ],
)
def test_values(item: object, text: str) -> None:
    assert form.value(item) == text


def test_times() -> None:
    assert form.second(86_400 + 11 * 3600 + 52 * 60 + 31) == "03-04T11:52:31"
    assert form.minute(0) == "03-03T00:00"
    assert form.minute(-28 * 86_400) == "02-03T00:00"
    assert form.day(365 * 86_400) == "2032-03-02T00:00"


def test_numbers_have_no_negative_zero() -> None:
    assert form.number(-0.04) == "0.0"
    assert form.number(-0.06) == "-0.1"
    assert form.number(3, 2) == "3.00"


def test_text_in_tables_is_safe() -> None:
    assert form.cell("plain") == "plain"
    assert form.cell('a, "b"\nc') == "\"a, 'b' c\""


def test_fields_and_tables() -> None:
    report = Report().fields(cell="S001-L18-1", barred=False).table(("a", "b"), [("1", "2"), ("3", "4")])
    assert report.text() == "cell: S001-L18-1  barred: false\na,b\n1,2\n3,4"


def test_details_are_left_out_of_terse_results() -> None:
    def build(style: form.Style) -> str:
        report = Report(style).fields(a=1).details(b=2)
        return report.table(("x", "y"), [(str(row), "d") for row in range(9)], details=1).text()

    assert build(FULL).startswith("a: 1\nb: 2\nx,y\n0,d\n")
    assert build(TERSE) == "a: 1\nx\n0\n1\n2\n3\n4\n5\n…(+3 more)"


@pytest.mark.parametrize("keep_last", [False, True])
@pytest.mark.parametrize("rows", [1, 40, 41, 42, 43, 60, 500])
@pytest.mark.parametrize("long", [False, True])
def test_long_tables_are_cut_and_counted(rows: int, long: bool, keep_last: bool) -> None:
    report = (
        (Report().long() if long else Report())
        .line("total")
        .table(
            ("name", "text"), [(f"{row:04d}", "x" * 24) for row in range(min(rows, 150))], more=0, keep_last=keep_last
        )
    )
    text = report.text()
    limit = HARD_LIMIT if long else FULL.limit
    assert len(text) <= limit
    shown = [line for line in text.split("\n")[2:] if not line.startswith("…")]
    more = [line for line in text.split("\n") if line.startswith("…")]
    counted = int(more[0].removeprefix("…(+").removesuffix(" more)")) if more else 0
    assert len(shown) + counted == min(rows, 150)
    if counted:
        assert len(text) > limit - 2 * 30
        assert shown[-1 if keep_last else 0].startswith(f"{min(rows, 150) - 1 if keep_last else 0:04d}")


def test_rows_the_caller_did_not_ask_for_are_counted_too() -> None:
    assert Report().table(("a",), [("1",)], more=7).text() == "a\n1\n…(+7 more)"


def test_free_text_is_cut_at_lines() -> None:
    text = Report().line("head").line("y" * 900).line("z" * 900).text()
    assert text == "head\n" + "y" * 900 + "\n…(+1 more)"
    assert len(Report().line("y" * 5000).text()) == FULL.limit


def test_refusals() -> None:
    with pytest.raises(ToolError, match=r"^NO_CHANGE: is locked$"):
        raise refusal(Code.NO_CHANGE, "is locked")
    assert str(not_found("element", "RU-099-L18-1")) == "NOT_FOUND: no element RU-099-L18-1"
    text = str(not_found("element", "S012-L18-9", ["S012-L18-1", "S044-L8-1"]))
    assert text == "NOT_FOUND: no element S012-L18-9. Did you mean 'S012-L18-1'?"
    assert len(str(not_found("element", "x" * 5000))) < 100
