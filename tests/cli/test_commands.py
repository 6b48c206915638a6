"""Every command: what it prints, its JSON, its exit codes, and one clear line for every mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from telegym.core.trajectory import read_trajectories
from tests.cli.conftest import Telegym

COMMANDS = [
    "play",
    "run",
    "train",
    "eval",
    "compare",
    "launch",
    "judge",
    "rewards",
    "replay",
    "tasks",
    "tools",
    "verify",
    "bench",
]


def test_help_lists_every_command(telegym: Telegym) -> None:
    result = telegym("--help")
    assert result.code == 0
    for command in COMMANDS:
        assert f" {command} " in result.out
    assert "Exit codes" in result.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(telegym: Telegym, command: str) -> None:
    result = telegym(command, "--help")
    assert result.code == 0
    assert "Usage" in result.out


def test_version(telegym: Telegym) -> None:
    assert telegym("--version").out == "telegym 0.1.0\n"


def test_the_package_is_the_command() -> None:
    command = [sys.executable, "-m", "telegym", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "telegym 0.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run", "toi"], "telegym: no environment 'toi'; valid: "),
        (["run", "toy", "-o", "talkativ=true"], "Did you mean 'talkative'?"),
        (["run", "toy", "-o", "talkative"], "'talkative' is not of the form KEY=VALUE"),
        (["run", "toy", "--agent", "orcale"], "Did you mean 'oracle'?"),
        (["run", "toy", "--agent", "replay"], "needs an argument: replay:FILE"),
        (["run", "toy", "--task", "toy-22"], "no task 'toy-22' among the 12 tasks"),
        (["run", "toy", "--split", "tset"], "no split 'tset'"),
        (["run", "toy", "--tools", "nowhere.py"], "no file 'nowhere.py'"),
        (["tools", "show", "read_countr", "--env", "toy"], "Did you mean 'read_counter'?"),
        (["tools", "export", "toy", "--requestor", "nobody"], "no side 'nobody'; valid: assistant, user"),
        (["tasks", "show", "toy-22", "--env", "toy"], "Did you mean 'toy-2'?"),
        (["tasks", "list", "--split", "tset"], "Did you mean 'test'?"),
        (["train", "--recipe", "nanno"], "Did you mean 'nano'?"),
        (["train", "--dry-run", "--set", "grpo.learning_rat=1"], "Did you mean 'learning_rate'?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(telegym: Telegym, arguments: list[str], line: str) -> None:
    result = telegym(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert line in result.err
    assert result.err.startswith("telegym: ")
    assert result.err.count("\n") == 1


def test_a_file_that_cannot_be_read_is_exit_code_3(telegym: Telegym, tmp_path: Path) -> None:
    result = telegym("replay", tmp_path / "none.jsonl")
    assert result.code == 3
    assert "cannot be read" in result.err


def test_an_unknown_option_is_exit_code_2(telegym: Telegym) -> None:
    assert telegym("run", "--no-such-option").code == 2


def test_debug_lets_the_exception_through(telegym: Telegym) -> None:
    from telegym.cli.app import run
    from telegym.core.errors import ConfigurationError

    with pytest.raises(ConfigurationError):
        run(["--debug", "run", "toi"])


def test_run_prints_a_table_and_keeps_trajectories(telegym: Telegym, tmp_path: Path) -> None:
    output = tmp_path / "t.jsonl"
    result = telegym("run", "toy", "-n", 3, "--seed", 0, "--seed", 5, "--output", output)
    assert result.code == 0
    assert "6 of 6 solved" in result.out
    assert [(each.task.id, each.seed) for each in read_trajectories(output)] == [
        (f"toy-{number}", seed) for number in range(3) for seed in (0, 5)
    ]


def test_run_as_json(telegym: Telegym) -> None:
    result = telegym("run", "toy", "--agent", "random", "--agent-option", "seed=3", "--task", "toy-4", "--json")
    report = json.loads(result.out)
    assert report["agent"] == "random"
    assert [row["task"] for row in report["episodes"]] == ["toy-4"]
    assert report["episodes"][0]["success"] is False
    assert report["episodes"][0]["reasons"]


def test_replay_finds_nothing_and_then_the_first_difference(telegym: Telegym, tmp_path: Path) -> None:
    output = tmp_path / "t.jsonl"
    telegym("run", "toy", "-n", 3, "-o", "talkative=true", "--output", output)
    assert telegym("replay", output).out == "3 trajectories replayed, 0 different\n"
    output.write_text(output.read_text().replace("C001 is now 6", "C001 is now 7"))
    result = telegym("replay", output)
    assert result.code == 1
    assert "line 3, task toy-2" in result.out
    assert "calls.0.content: was 'C001 is now 7', is 'C001 is now 6'" in result.out
    report = json.loads(telegym("replay", output, "--json").out)
    assert (report["trajectories"], report["different"]) == (3, 1)


def test_eval_compares_with_an_earlier_result(telegym: Telegym, tmp_path: Path) -> None:
    first = telegym("eval", "toy", "--agent", "random", "--output", tmp_path / "a.json", "-n", 4)
    assert first.code == 0
    second = telegym("eval", "toy", "--agent", "oracle", "--against", tmp_path / "a.json", "-n", 4, "-k", 2)
    assert "pass^k: 1: 1.000, 2: 1.000" in second.out
    assert "random → oracle" in second.out
    assert json.loads(telegym("eval", "toy", "--agent", "oracle", "-n", 2, "--json").out)["summary"]["episodes"] == 2


def test_eval_plays_the_test_split(telegym: Telegym) -> None:
    report = json.loads(telegym("eval", "--agent", "oracle", "-n", 2, "--json").out)
    assert report["options"]["split"] == "test"
    assert report["summary"]["success"]["value"] == 1.0


def test_manifests(telegym: Telegym, tmp_path: Path) -> None:
    file = tmp_path / "folder" / "toy.json"
    assert telegym("tasks", "manifest", "toy", "--count", 3, "--output", file).code == 0
    printed = telegym("tasks", "manifest", "toy", "--count", 3).out.splitlines()
    assert len(printed) == 4 and printed[0].startswith("toy-0 ")
    assert json.loads(telegym("tasks", "manifest", "toy", "--count", 3, "--json").out) == json.loads(file.read_text())
    assert "3 of 3 tasks compared, 0 differences" in telegym("tasks", "verify-manifest", "--file", file).out
    file.write_text(file.read_text().replace("toy-1", "toy-7"))
    result = telegym("tasks", "verify-manifest", "--file", file, "--json")
    assert result.code == 1
    assert json.loads(result.out)["differences"][1:] == ["toy-7: is now toy-1"]
    assert "no manifest of 'tst'" in telegym("tasks", "verify-manifest", "toy", "--split", "tst").err


def test_tasks(telegym: Telegym, tmp_path: Path) -> None:
    assert "12 tasks; splits: none" in telegym("tasks", "list", "toy").out
    assert json.loads(telegym("tasks", "list", "toy", "-n", 1, "--json").out) == [
        {"id": "toy-0", "labels": {"family": "near"}}
    ]
    shown = telegym("tasks", "show", "toy-2", "--env", "toy").out
    assert "Bring counter C001 to 6." in shown
    assert "equals(counter_id='C001', value=6)" in shown
    assert json.loads(telegym("tasks", "show", "toy-2", "--env", "toy", "--json").out)["id"] == "toy-2"
    assert telegym("tasks", "export", "toy", "--output", tmp_path / "t.jsonl", "-n", 2).code == 0
    assert len((tmp_path / "t.jsonl").read_text().splitlines()) == 2


def test_tools(telegym: Telegym, tmp_path: Path) -> None:
    assert "toy: 3 tools" in telegym("tools", "list", "toy").out
    assert json.loads(telegym("tools", "list", "toy", "--json").out)[0]["name"] == "read_counter"
    shown = telegym("tools", "show", "change_counter", "--env", "toy").out
    assert "change_counter(counter_id, amount, [direction])" in shown
    assert "amount (integer, minimum 1, maximum 10, required): By how much." in shown
    exported = json.loads(telegym("tools", "export", "toy").out)
    assert exported[0] == json.loads(telegym("tools", "show", "read_counter", "--env", "toy", "--json").out)
    telegym("tools", "export", "toy", "--output", tmp_path / "tools.json")
    assert json.loads((tmp_path / "tools.json").read_text()) == exported
    assert json.loads(telegym("tools", "export", "toy", "--requestor", "user").out) == []


def test_tau2_telecom_is_the_default(telegym: Telegym) -> None:
    assert "tau2-telecom: 44 tools" in telegym("tools", "list").out
    assert "1 of 1 solved" in telegym("run", "-n", 1).out


def test_verify_native(telegym: Telegym) -> None:
    result = telegym("verify", "native", "-n", 3, "--json")
    assert result.code == 0
    report = json.loads(result.out)
    assert (report["tasks"], report["oracle_solved"], report["cheaters_failed"]) == (3, 3, 3)


def test_verify_tau2_says_what_was_compared(telegym: Telegym, tau2_data: Path, tau2_traces: Path) -> None:
    result = telegym("verify", "tau2", "--data", tau2_data, "--traces", tau2_traces / "vectors.jsonl")
    assert result.code == 0
    assert "0 mismatches" in result.out


def test_verify_tau2_takes_several_files(telegym: Telegym, tau2_data: Path, tau2_traces: Path) -> None:
    path = tau2_traces / "vectors.jsonl"
    twice = telegym("verify", "tau2", "--data", tau2_data, "--traces", path, path, "--json")
    assert twice.code == 0 and json.loads(twice.out)["traces"] == 162


def test_verify_tau2_of_a_changed_trace_is_exit_code_1(
    telegym: Telegym, tau2_data: Path, tau2_traces: Path, tmp_path: Path
) -> None:
    first = (tau2_traces / "vectors.jsonl").read_text(encoding="utf-8").splitlines()[0]
    record = json.loads(first)
    record["steps"][0]["error"] = not record["steps"][0]["error"]
    (tmp_path / "changed.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    result = telegym("verify", "tau2", "--data", tau2_data, "--traces", tmp_path / "changed.jsonl")
    assert result.code == 1
    assert "step 0, error: expected" in result.out


def test_train_shows_the_recipe_it_would_run(telegym: Telegym) -> None:
    result = telegym("train", "--dry-run", "--set", "seed=17")
    assert result.code == 0
    assert yaml.safe_load(result.out)["seed"] == 17


def test_train_without_its_libraries_says_what_to_install(telegym: Telegym, monkeypatch: pytest.MonkeyPatch) -> None:
    from telegym.agents.training import run

    def absent(*arguments: object) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(run, "train", absent)
    result = telegym("train")
    assert (result.code, result.err) == (2, "telegym: this needs torch: pip install 'telegym[train]'\n")


def test_bench_reports_every_rate(telegym: Telegym, tmp_path: Path) -> None:
    output = tmp_path / "bench.json"
    result = telegym("bench", "--seconds", 0.02, "--repeats", 1, "--output", output, "--json")
    rates = json.loads(result.out)["rates"]
    assert set(rates) == {
        "calls through Episode.step, recording",
        "calls through Episode.step, not recording",
        "env.step",
        "env.reset",
        "fork",
    }
    assert all(rate["median"] > 0 for rate in rates.values())
    assert json.loads(output.read_text())["rates"] == rates


def test_bench_measures_base_stations(telegym: Telegym) -> None:
    result = telegym("bench", "base-station", "--seconds", 0.01, "--repeats", 1, "--json", "--option", "count=3")
    report = json.loads(result.out)
    kinds = {name.split(" ")[0].rstrip(",") for name in report["rates"]}
    assert kinds == {"region", "calls", "get_kpi", "fork", "task", "episode"}
    assert report["tasks"] == 3 and report["numpy"]
    for rate in report["rates"].values():
        assert 0 < rate["lowest"] <= rate["median"] <= rate["highest"]
        assert rate["milliseconds"] * rate["median"] == pytest.approx(1e3)


def test_bench_measures_only_what_is_asked_for(telegym: Telegym) -> None:
    result = telegym("bench", "base-station", "--seconds", 0.01, "--repeats", 1, "--only", "fork", "-o", "count=1")
    assert "fork" in result.out and "region" not in result.out and " µs" in result.out
    result = telegym("bench", "base-station", "--only", "teleportation")
    assert result.code == 2 and "'teleportation' in its name: region U1" in result.err


def test_bench_measures_auditors(telegym: Telegym) -> None:
    result = telegym("bench", "rewards", "--seconds", 0.01, "--repeats", 1, "--json")
    report = json.loads(result.out)
    assert report["calls"] == 30 and len(report["rates"]) == 4


def test_verify_rewards_counts_what_was_found(telegym: Telegym) -> None:
    options = ("--count", 4, "--kind", "unknown_tool", "--kind", "premature_finish", "--option", "count=20")
    result = telegym("verify", "rewards", *options, "--view", "oracle", "--json")
    report = json.loads(result.out)
    assert result.code == 0 and report["passed"] and report["total"]["oracle"]["wrong"] == 4
    assert report["kinds"]["unknown_tool/oracle"]["trajectories"] == 2
    result = telegym("verify", "rewards", *options)
    assert "unknown_tool" in result.out and "0 of" in result.out
    result = telegym("verify", "rewards", "--view", "oracel", "--count", 1)
    assert result.code == 2 and "Did you mean 'oracle'" in result.err
