"""Several runs together: rows of seeds, means with intervals, figures from outcomes, and clear errors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from telegym.agents.oracle import OracleAgent
from telegym.agents.random import RandomAgent
from telegym.core.errors import ConfigurationError
from telegym.evaluation.evaluate import EvaluationResult, Outcome, evaluate
from telegym.evaluation.learning import episodes_to
from telegym.evaluation.runs import compare_runs, run_table
from telegym.evaluation.statistics import Estimate, mean_over_seeds
from tests.toy import Toy


def _result(solved: int, **changes: Any) -> EvaluationResult:
    result = evaluate(Toy(), OracleAgent())
    outcomes = tuple(
        outcome.model_copy(update=changes)
        if index < solved
        else outcome.model_copy(update={"success": False, "value": 0.0, **changes})
        for index, outcome in enumerate(result.outcomes)
    )
    return result.model_copy(update={"outcomes": outcomes})


def _run(folder: Path, before: int, after: int, tasks: str = "test", **config: Any) -> Path:
    folder.mkdir()
    _result(before).write(folder / f"evaluation-before-{tasks}.json")
    _result(after).write(folder / f"evaluation-after-{tasks}.json")
    if config:
        (folder / "config.yaml").write_text(yaml.safe_dump(config), "utf-8")
    return folder


def _values(estimates: Sequence[Estimate | None]) -> list[float | None]:
    return [each.value if each is not None else None for each in estimates]


def test_runs_that_differ_in_their_seed_are_one_row(tmp_path: Path) -> None:
    runs = [
        _run(tmp_path / "fast-seed0", 3, 6, seed=0, threads=1, grpo={"rate": 2}),
        _run(tmp_path / "slow-seed0", 3, 5, seed=0, grpo={"rate": 1}),
        _run(tmp_path / "fast-seed1", 3, 12, seed=1, threads=2, grpo={"rate": 2}),
    ]
    (table,) = compare_runs(runs)
    assert (table.environment, table.tasks) == ("toy", "test")
    fast, slow = table.rows
    assert (fast.name, fast.runs, fast.seeds) == ("fast", ("fast-seed0", "fast-seed1"), (0, 1))
    assert (fast.settings, slow.settings) == ({"grpo.rate": 2}, {"grpo.rate": 1})
    success = fast.measures["success"]
    assert success.after == mean_over_seeds([6 / 12, 12 / 12])
    assert success.difference == mean_over_seeds([3 / 12, 9 / 12])
    single = slow.measures["success"]
    assert single.after == _result(5).success
    assert single == slow.by_run["slow-seed0"]["success"]


def test_what_is_the_same_in_all_seeds_is_as_sure_as_its_tasks(tmp_path: Path) -> None:
    """An interval over seeds of the one policy that all started from would be empty."""
    runs = [_run(tmp_path / f"run-{seed}", 3, 6 + seed, seed=seed) for seed in (0, 1)]
    success = compare_runs(runs)[0].rows[0].measures["success"]
    assert success.before == _result(3).success
    assert success.after.method == "t"


def test_rows_by_name_hold_runs_that_began_elsewhere(tmp_path: Path) -> None:
    runs = [_run(tmp_path / f"second-{seed}", 3, 6, model=f"first-{seed}") for seed in (0, 1)]
    assert [row.name for row in compare_runs(runs)[0].rows] == ["second-0", "second-1"]
    (row,) = compare_runs(runs, "name")[0].rows
    assert (row.name, row.runs) == ("second", ("second-0", "second-1"))


def test_every_figure_is_that_of_the_episodes(tmp_path: Path) -> None:
    folder = _run(tmp_path / "run", 3, 6)
    before = _result(4, calls=8, errors={"unknown_tool": 2})
    broken = {"reasons": ("R7: too early", "R7: again", "x: no rule", "nothing"), "components": {"share_policy": 0.5}}
    after = _result(6, calls=5, **broken)
    before.write(folder / "evaluation-before-test.json")
    after.write(folder / "evaluation-after-test.json")
    measures = compare_runs([folder])[0].rows[0].measures
    calls, violations, errors = (measures[name] for name in ("calls_per_solved", "violations", "tool_errors"))
    assert _values([calls.before, calls.after, calls.difference]) == [8.0, 5.0, -3.0]
    assert _values([violations.before, violations.after, violations.difference]) == [None, 2.0, None]
    assert _values([errors.before, errors.after, errors.difference]) == [0.25, 0.0, -0.25]


def test_intervals_hold_the_figure_they_are_about(tmp_path: Path) -> None:
    folder = _run(tmp_path / "run", 3, 6)
    result = _result(12)
    outcomes = [each.model_copy(update={"calls": 4 + place % 5}) for place, each in enumerate(result.outcomes)]
    result.model_copy(update={"outcomes": tuple(outcomes)}).write(folder / "evaluation-after-test.json")
    found = compare_runs([folder])[0].rows[0].measures["calls_per_solved"].after
    assert found.value == pytest.approx(sum(each.calls for each in outcomes) / 12)
    assert found.value is not None and found.low is not None and found.high is not None
    assert 4.0 < found.low < found.value < found.high < 8.0


@pytest.mark.parametrize(
    ("components", "reasons", "expected"),
    [
        ({}, ("R7: early",), None),
        ({"policy": 0.0, "rule:refuel": 0.0}, ("refuel: twice", "plan: changed"), ("refuel",)),
        ({"share_policy": 1.0}, ("the answer is wrong", "R12 is not a reason: so"), ()),
        ({"share_policy": 0.4}, ("R12: a", "R3: b: c"), ("R12", "R3")),
    ],
)
def test_violations_are_read_from_scores(
    components: dict[str, float], reasons: tuple[str, ...], expected: tuple[str, ...] | None
) -> None:
    outcome = _result(1).outcomes[0].model_copy(update={"components": components, "reasons": reasons})
    assert Outcome.model_validate(outcome.model_dump()).violations == expected


def test_sets_and_environments_have_tables_of_their_own(tmp_path: Path) -> None:
    first = _run(tmp_path / "first", 3, 6)
    other = _run(tmp_path / "second", 3, 6, tasks="other")
    moved = _result(4).model_copy(update={"environment": "elsewhere"})
    third = _run(tmp_path / "third", 3, 6)
    moved.write(third / "evaluation-after-test.json")
    found = compare_runs([first, other, third])
    assert [(table.environment, table.tasks, [row.name for row in table.rows]) for table in found] == [
        ("toy", "test", ["first"]),
        ("toy", "other", ["second"]),
        ("elsewhere", "test", ["third"]),
    ]


def test_a_run_without_evaluation_before_has_no_difference(tmp_path: Path) -> None:
    folder = _run(tmp_path / "taught", 3, 6)
    (folder / "evaluation-before-test.json").unlink()
    success = compare_runs([folder])[0].rows[0].measures["success"]
    assert (success.before, success.difference, success.after.value) == (None, None, 0.5)


def test_the_table_shows_what_differs(tmp_path: Path) -> None:
    runs = [_run(tmp_path / "first", 3, 6, rate=1), _run(tmp_path / "second", 4, 12, rate=2)]
    console = Console(width=400, record=True)
    console.print(run_table(compare_runs(runs)[0]))
    text = console.export_text()
    assert all(word in text for word in ("first", "second", "rate", "25.0 pp", "50.0%", "strict success, after"))
    assert "rule violations" not in text


def test_folders_without_a_finished_run_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere holds no finished training run"):
        compare_runs([tmp_path / "nowhere"])
    run = _run(tmp_path / "run", 3, 6)
    with pytest.raises(ConfigurationError, match=r"named twice: .*run"):
        compare_runs([run, tmp_path / "." / "run"])


def test_a_worse_policy_has_a_negative_gain(tmp_path: Path) -> None:
    folder = _run(tmp_path / "run", 12, 12)
    evaluate(Toy(), RandomAgent()).write(folder / "evaluation-after-test.json")
    difference = compare_runs([folder])[0].rows[0].measures["success"].difference
    assert difference is not None and difference.value is not None and difference.value < 0


def _curve(folder: Path, success: Sequence[float], **row: float) -> None:
    rows = ({"step": step, "episode/success": value, **row} for step, value in enumerate(success, 1))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows), "utf-8")


GRPO: dict[str, Any] = {"kind": "grpo", "grpo": {"groups": 4, "group_size": 8}}


def test_rows_are_compared_with_a_baseline_seed_by_seed(tmp_path: Path) -> None:
    solved = {"plain-0": 4, "plain-1": 6, "plain-2": 7, "credit-1": 9, "credit-0": 6}
    runs = [_run(tmp_path / name, 3, n, seed=int(name[-1])) for name, n in solved.items()]
    (table,) = compare_runs(runs, "name", baseline="plain")
    plain, credit = table.rows
    assert plain.against == {}
    against, expected = credit.against["success"], mean_over_seeds([3 / 12, 2 / 12])
    assert (against.value, against.low) == pytest.approx((expected.value, expected.low))
    console = Console(record=True, width=400)
    console.print(run_table(table))
    assert "strict success, against plain" in console.export_text()
    with pytest.raises(ConfigurationError, match=r"no row 'plane'; there are: plain, credit\. Did you mean 'plain'"):
        compare_runs(runs, "name", baseline="plane")


def test_episodes_are_counted_until_success_is_as_high_as_asked(tmp_path: Path) -> None:
    runs = [_run(tmp_path / f"run-{seed}", 3, 6, seed=seed, **GRPO) for seed in (0, 1)]
    _curve(runs[0], [0.9, 0.0, 0.0, 0.0, 0.2, 0.8, 0.4, 0.6])
    _curve(runs[1], [0.1, 0.1, 0.1, 0.1])
    (row,) = compare_runs(runs, reach=0.5)[0].rows
    assert row.episodes == {"run-0": 8 * 32, "run-1": None}
    console = Console(record=True, width=300)
    console.print(run_table(compare_runs(runs, reach=0.5)[0]))
    assert "1 of 2 runs reached it" in console.export_text()
    console.print(run_table(compare_runs(runs[:1], reach=0.25)[0]))
    assert "192" in console.export_text()


@pytest.mark.parametrize(
    ("row", "config", "episodes"),
    [
        ({}, GRPO, 128),
        ({"selection/groups": 3.0, "selection/dropped": 0.25}, GRPO, 128),
        ({"selection/groups": 4.0, "selection/dropped": 0.5}, GRPO, 256),
        ({}, {"kind": "sft"}, None),
        ({}, {}, None),
    ],
)
def test_groups_that_were_replaced_count_too(row: dict[str, float], config: dict[str, Any], episodes: int) -> None:
    metrics = [{"step": step, "episode/success": 1.0, **row} for step in range(1, 9)]
    assert episodes_to(0.9, metrics, config) == episodes
