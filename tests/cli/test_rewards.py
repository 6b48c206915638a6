"""`telegym judge` and `telegym rewards`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from telegym.core.score import Failure, Score
from telegym.core.trajectory import read_trajectories
from telegym.rewards.base import Reward, Run
from telegym.rewards.registry import register_reward
from tests.cli.conftest import Telegym


class Contrary(Reward):
    """Likes failures, and has no opinion on some tasks.

    Args:
        silent: Tasks on which it fails.
    """

    name = "contrary"

    def __init__(self, silent: Sequence[str] = ()) -> None:
        self.silent = silent

    def score(self, runs: Sequence[Run]) -> list[Score]:
        return [self._of(run) for run in runs]

    def _of(self, run: Run) -> Score:
        if run.trajectory.task.id in self.silent:
            return Score(failure=Failure(party="judge", message="no opinion"))
        return Score(value=1.0 - (run.outcome.value or 0.0))


register_reward("contrary", f"{__name__}:Contrary")
register_reward("looking", f"{__name__}:Looking")
CONTRARY = """
rewards:
  outcome: {kind: outcome}
  opinion: {kind: contrary}
combine: {kind: gate_product, quality: {opinion: 1.0}}
"""


@pytest.fixture
def played(telegym: Telegym, tmp_path: Path) -> Path:
    """Four tasks, each won once and lost once."""
    file = tmp_path / "played.jsonl"
    for agent in ("oracle", "random"):
        telegym("run", "toy", "-n", 4, "--agent", agent, "--output", file)
    return file


@pytest.fixture
def contrary(tmp_path: Path) -> Path:
    file = tmp_path / "contrary.yaml"
    file.write_text(CONTRARY, "utf-8")
    return file


def test_judge_prints_a_table_and_keeps_everything(telegym: Telegym, played: Path, tmp_path: Path) -> None:
    output = tmp_path / "folder" / "scores.jsonl"
    result = telegym("judge", played, "--reward", "form", "--output", output)
    assert result.code == 0
    assert "8 trajectories scored" in result.out and "format" in result.out
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [(row["task"], row["value"]) for row in rows[:4]] == [(f"toy-{number}", 1.0) for number in range(4)]
    recorded = list(read_trajectories(played))
    assert [row["parts"]["outcome"]["value"] for row in rows] == [each.score.value for each in recorded]
    assert all(
        len(row["parts"]["format"]["calls"]) == len(each.calls) for row, each in zip(rows, recorded, strict=True)
    )
    assert rows[0]["group"] == "toy/toy-0#0"


def test_judge_prints_json(telegym: Telegym, played: Path) -> None:
    report = json.loads(telegym("judge", played, played, "--json").out)
    assert (report["reward"], report["trajectories"], report["failed"]) == ("outcome", 16, 0)
    assert report["components"]["outcome"] == {"mean": 0.5, "least": 0.0, "most": 1.0, "failed": 0}
    assert report["results"][0]["components"]["outcome.reached"] == 1.0


def test_failures_have_no_value_and_are_exit_code_1(telegym: Telegym, played: Path, contrary: Path) -> None:
    result = telegym("judge", played, "--reward", contrary, "--set", "rewards.opinion.silent=[toy-1]", "--json")
    assert result.code == 1
    report = json.loads(result.out)
    assert report["failed"] == 2
    assert report["failures"] == ["toy-1: opinion: no opinion"] * 2
    assert [row["value"] is None for row in report["results"]] == [False, True, False, False] * 2
    text = telegym("judge", played, "--reward", contrary, "--set", "rewards.opinion.silent=[toy-1]")
    assert "8 trajectories scored, 2 failed and have no value" in text.out
    resolved = telegym(
        "judge", played, "-r", contrary, "-s", "rewards.opinion.silent=[toy-1]", "-s", "fallback.opinion=[outcome]"
    )
    assert resolved.code == 0


def test_a_recording_that_ends_elsewhere_now_is_a_failure(telegym: Telegym, played: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in played.read_text().splitlines()]
    lines[0]["final_state"] = "0" * 64
    changed = tmp_path / "changed.jsonl"
    changed.write_text("".join(f"{json.dumps(line)}\n" for line in lines[:1]))
    recipe = tmp_path / "looking.yaml"
    recipe.write_text("rewards: {outcome: {kind: looking}}\n")
    assert telegym("judge", played, "--reward", recipe).code == 0
    result = telegym("judge", changed, "--reward", recipe)
    assert result.code == 1
    assert "ends in another state than recorded" in result.out


class Looking(Reward):
    """Looks into the simulator."""

    name = "looking"

    def score(self, runs: Sequence[Run]) -> list[Score]:
        return [run.episode.score() for run in runs]


def test_list_and_show(telegym: Telegym) -> None:
    result = telegym("rewards", "list")
    assert result.code == 0
    assert "outcome" in result.out and "What the environment says, and nothing else." in result.out
    assert set(json.loads(telegym("rewards", "list", "--json").out)) == {"kinds", "recipes"}
    assert "alpha: 0.25" in telegym("rewards", "show", "form", "--set", "combine.alpha=0.25").out
    assert json.loads(telegym("rewards", "show", "form", "--json").out)["batch"] == 16
    assert "window: int = 10" in telegym("rewards", "show", "format").out
    assert "scoring: str | None = None" in telegym("rewards", "show", "outcome", "--kind").out
    described = json.loads(telegym("rewards", "show", "contrary", "--json").out)
    assert described["settings"] == {"silent": {"type": "Sequence[str]", "default": "()"}}


def test_diagnose_refuses_what_misleads_unless_forced(telegym: Telegym, played: Path, contrary: Path) -> None:
    fine = telegym("rewards", "diagnose", played, "--reward", "form")
    assert fine.code == 0 and "8 trajectories in 4 groups" in fine.out
    refused = telegym("rewards", "diagnose", played, "--reward", contrary)
    assert refused.code == 1
    assert "component 'opinion' pulls against the outcome within groups" in refused.err
    assert "-1.000" in refused.out and "100.0%" in refused.out
    assert telegym("rewards", "diagnose", played, "--reward", contrary, "--force").code == 0
    report = json.loads(telegym("rewards", "diagnose", played, "--reward", contrary, "--json").out)
    assert report["refused"] == ["opinion"]
    assert [each["correlation"] for each in report["components"]] == pytest.approx([1.0, -1.0])


def test_diagnose_takes_scores_too(telegym: Telegym, played: Path, contrary: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.jsonl"
    telegym("judge", played, "--reward", contrary, "--output", scores)
    fresh = telegym("rewards", "diagnose", played, "--reward", contrary, "--json")
    assert telegym("rewards", "diagnose", scores, "--reward", contrary, "--json").out == fresh.out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["judge", "FILE", "--reward", "outcom"], "Did you mean 'outcome'?"),
        (["judge", "FILE", "--set", "combine.alfa=1"], "Did you mean 'alpha'?"),
        (["judge", "FILE", "--group-by", "agent"], "grouped by seed or task, not by 'agent'"),
        (["judge", "FILE", "--set", "rewards.outcome.scoring=strict"], "has one rule of scoring"),
        (["rewards", "show", "formt"], "Did you mean 'format'?"),
        (["rewards", "diagnose", "EMPTY", "--reward", "form"], "no trajectories in "),
        (
            ["rewards", "diagnose", "FILE", "-r", "form", "-s", "combine={kind: weighted, outcome: null}"],
            "has no outcome to compare with",
        ),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    telegym: Telegym, played: Path, tmp_path: Path, arguments: list[str], line: str
) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    files = {"FILE": played, "EMPTY": tmp_path / "empty.jsonl"}
    result = telegym(*(files.get(argument, argument) for argument in arguments))
    assert result.code == 2
    assert line in result.err and result.err.count("\n") == 1


def test_a_file_that_is_not_there_is_exit_code_3(telegym: Telegym, tmp_path: Path) -> None:
    assert telegym("judge", tmp_path / "none.jsonl").code == 3
    assert telegym("rewards", "diagnose", tmp_path / "none.jsonl", "--reward", "form").code == 3
