"""What several runs gained: pooled rates, mean difference, and clear errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from telegym.agents.oracle import OracleAgent
from telegym.agents.random import RandomAgent
from telegym.core.errors import ConfigurationError
from telegym.evaluation.evaluate import EvaluationResult, evaluate
from telegym.evaluation.runs import gains, gains_table
from tests.toy import Toy


def _result(solved: int) -> EvaluationResult:
    result = evaluate(Toy(), OracleAgent())
    outcomes = tuple(
        outcome if index < solved else outcome.model_copy(update={"success": False, "value": 0.0})
        for index, outcome in enumerate(result.outcomes)
    )
    return result.model_copy(update={"outcomes": outcomes})


def _run(folder: Path, before: int, after: int, tasks: str = "test") -> Path:
    folder.mkdir()
    _result(before).write(folder / f"evaluation-before-{tasks}.json")
    _result(after).write(folder / f"evaluation-after-{tasks}.json")
    return folder


def test_the_mean_over_runs_is_that_of_their_differences(tmp_path: Path) -> None:
    runs = [_run(tmp_path / "first", 3, 6), _run(tmp_path / "second", 3, 12)]
    (gain,) = gains(runs)
    assert gain.tasks == "test"
    assert gain.before.value == pytest.approx(3 / 12)
    assert gain.after.value == pytest.approx(9 / 12)
    assert gain.difference.value == pytest.approx((3 / 12 + 9 / 12) / 2)
    assert {name: each.value for name, each in gain.by_run.items()} == {"first": 3 / 12, "second": 9 / 12}
    assert gain.difference.low is not None and gain.difference.low < gain.by_run["first"].value  # type: ignore[operator]


def test_the_table_names_every_run(tmp_path: Path) -> None:
    console = Console(width=160, record=True)
    console.print(gains_table(gains([_run(tmp_path / "first", 3, 6), _run(tmp_path / "second", 4, 12)])))
    text = console.export_text()
    assert "first" in text and "second" in text and "25.0 pp" in text


def test_folders_without_a_finished_run_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere holds no finished training run"):
        gains([tmp_path / "nowhere"])
    half = _run(tmp_path / "half", 3, 6)
    (half / "evaluation-before-test.json").unlink()
    with pytest.raises(ConfigurationError, match="half holds no finished"):
        gains([half])


def test_runs_on_different_tasks_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no set of tasks in common"):
        gains([_run(tmp_path / "first", 3, 6), _run(tmp_path / "second", 3, 6, tasks="other")])


def test_a_worse_policy_has_a_negative_gain(tmp_path: Path) -> None:
    folder = _run(tmp_path / "run", 12, 12)
    evaluate(Toy(), RandomAgent()).write(folder / "evaluation-after-test.json")
    assert gains([folder])[0].difference.value < 0  # type: ignore[operator]
