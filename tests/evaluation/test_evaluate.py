from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from telegym.agents.base import Action
from telegym.agents.oracle import OracleAgent
from telegym.agents.random import RandomAgent
from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError, InfrastructureError
from telegym.core.score import Failure, Score
from telegym.core.trajectory import read_trajectories
from telegym.evaluation.evaluate import (
    EvaluationResult,
    Outcome,
    compare,
    comparison_table,
    evaluate,
    result_table,
    trial_seeds,
)
from tests.toy import Toy


class Half(OracleAgent):
    """Knows how to do `near` tasks, and ends the others at once; fails technically in every third trial of toy-0."""

    name = "half"

    def act(self, episodes: Sequence[Episode]) -> list[Action]:
        return [self._choose(episode) for episode in episodes]

    def _choose(self, episode: Episode) -> Action:
        if episode.task.id == "toy-0" and episode.seed == trial_seeds(0, 3)[2]:
            return Failure(party="infrastructure", message="away")
        if episode.task.labels["family"] == "far":
            return "nonsense()" if episode.turn == 0 else "done()"
        return self._next(episode)


@pytest.fixture(scope="module")
def result() -> EvaluationResult:
    return evaluate(Toy(), Half(), trials=3)


def shown(table: Table) -> str:
    console = Console(width=140)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_every_task_is_played_in_every_trial(result: EvaluationResult) -> None:
    played = [(outcome.task_id, outcome.seed) for outcome in result.outcomes]
    assert played == [(task.id, seed) for task in Toy().tasks for seed in trial_seeds(0, 3)]


def test_the_figures(result: EvaluationResult) -> None:
    assert len(result.outcomes) == 36
    assert result.failures == 1
    assert result.success.value == pytest.approx(17 / 35)
    assert {name: rate.value for name, rate in result.success_by().items()} == {"far": 0.0, "near": 1.0}
    assert result.success_by()["near"].n == 17
    assert result.calls_per_solved == 2.0
    assert result.tool_error_rate == pytest.approx(18 / (18 * 2 + 17 * 2))
    assert result.error_kinds == {"unknown_tool": 18}
    assert result.end_reasons == {"finished": 35, "infrastructure": 1}
    assert result.reasons == {"the counter has another value than asked for": 18}
    assert result.pass_hat == {1: pytest.approx(0.5), 2: pytest.approx(0.5), 3: pytest.approx(5 / 11)}
    assert result.mean_value == pytest.approx(17 / 35)


def test_failures_of_the_infrastructure_are_never_zeros(result: EvaluationResult) -> None:
    (failed,) = [outcome for outcome in result.outcomes if outcome.failure is not None]
    assert (failed.task_id, failed.value, failed.success) == ("toy-0", None, False)
    assert failed.failure == Failure(party="infrastructure", message="away")


def test_results_go_through_json_and_back(result: EvaluationResult, tmp_path: Path) -> None:
    file = tmp_path / "evaluation-before.json"
    result.write(file)
    assert EvaluationResult.read(file) == result
    data = json.loads(file.read_text(encoding="utf-8"))
    assert data["version"] == 1
    assert data["summary"] == json.loads(json.dumps(result.summary()))
    assert data["summary"]["success"]["value"] == pytest.approx(17 / 35)
    assert len(data["outcomes"]) == 36


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": 2}', "nonsense"])
def test_files_that_are_no_results_are_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    with pytest.raises(ConfigurationError):
        EvaluationResult.read(file)


def test_the_batch_size_changes_nothing() -> None:
    results = [evaluate(Toy(), RandomAgent(), trials=2, batch_size=size) for size in (1, 5, 64)]
    assert results[0] == results[1] == results[2]


def test_seeds_of_trials_differ_between_evaluations() -> None:
    assert trial_seeds(0, 2) == trial_seeds(0, 3)[:2]
    assert len({*trial_seeds(0, 50), *trial_seeds(1, 50)}) == 100


def test_tasks_limits_and_scores_can_be_chosen(tmp_path: Path) -> None:
    env, file = Toy(), tmp_path / "t.jsonl"

    def generous(episode: Episode) -> Score:
        return Score(value=1.0) if episode.task.id == "toy-3" else Score(failure=Failure(party="judge", message="?"))

    result = evaluate(env, RandomAgent(), env.tasks[3:5], score=generous, write_to=file, group_by="nothing")
    assert [outcome.task_id for outcome in result.outcomes] == ["toy-3", "toy-4"]
    assert result.success.value == 1.0
    assert result.failures == 1
    assert list(result.groups()) == ["–"]
    assert [trajectory.task.id for trajectory in read_trajectories(file)] == ["toy-3", "toy-4"]


def test_a_scorer_cannot_turn_a_technical_failure_into_a_value() -> None:
    class Dead(OracleAgent):
        def act(self, episodes: Sequence[Episode]) -> list[Action]:
            raise InfrastructureError("no server")

    result = evaluate(Toy(), Dead(), score=lambda episode: Score(value=0.0))
    assert result.failures == 12
    assert [outcome.value for outcome in result.outcomes] == [None] * 12


def test_a_reason_counts_once_an_episode() -> None:
    twice = Score(value=0.0, reasons=("late", "rude", "late"))
    assert evaluate(Toy(), RandomAgent(), score=lambda episode: twice).reasons == {"late": 12, "rude": 12}


def test_without_trials_there_is_nothing_to_say() -> None:
    with pytest.raises(ConfigurationError, match="at least 1, not 0"):
        evaluate(Toy(), OracleAgent(), trials=0)


def test_when_all_fails_technically_there_is_no_rate() -> None:
    class Dead(OracleAgent):
        def act(self, episodes: Sequence[Episode]) -> list[Action]:
            raise InfrastructureError("no server")

    result = evaluate(Toy(), Dead())
    assert result.success.value is None
    assert result.failures == 12
    assert result.mean_value is result.calls_per_solved is result.tool_error_rate is None
    assert result.pass_hat == {}
    assert "not counted: 12 of 12" in shown(result_table(result))
    json.dumps(result.to_dict(), allow_nan=False)


def test_a_comparison_says_what_rose(result: EvaluationResult) -> None:
    oracle = evaluate(Toy(), OracleAgent(), trials=3)
    comparison = compare(result, oracle)
    assert comparison.difference.value == pytest.approx(0.5)
    assert comparison.by_group["far"].value == 1.0
    assert comparison.by_group["near"].value == 0.0
    assert comparison.better == tuple(task.id for task in Toy().tasks if task.labels["family"] == "far")
    assert comparison.worse == ()
    assert compare(oracle, result).worse == comparison.better


def test_a_comparison_of_different_tasks_uses_those_of_both() -> None:
    env = Toy()
    before, after = evaluate(env, RandomAgent(), env.tasks[:4]), evaluate(env, OracleAgent(), env.tasks[2:])
    assert compare(before, after).difference.n == 2


def test_tables_show_groups_and_intervals(result: EvaluationResult) -> None:
    text = shown(result_table(result))
    assert "half on toy" in text
    assert "not counted: 1 of 36 episodes" in text
    row = next(line for line in text.splitlines() if "near" in line)
    assert "100.0% (" in row
    both = shown(comparison_table(result, evaluate(Toy(), OracleAgent(), trials=3)))
    assert "half → oracle on toy" in both
    assert " pp (" in next(line for line in both.splitlines() if "far" in line)


def test_labels_are_not_markup() -> None:
    env = Toy()
    task = env.tasks[0].model_copy(update={"labels": {"family": "[red]odd[/nothing]"}})
    assert "[red]odd[/nothing]" in shown(result_table(evaluate(env, OracleAgent(), [task])))


def test_calls_dropped_at_the_end_are_no_errors_and_the_users_calls_not_the_agents() -> None:
    episode = Episode(Toy(), Toy().tasks[0])
    episode.step('<tool_call>{"name": "done", "arguments": {}}</tool_call><tool_call>{"name": "done"}</tool_call>')
    user_call = episode.calls[0].call.model_copy(update={"requestor": "user"})
    outcome = Outcome.of(episode)
    assert (outcome.calls, outcome.errors) == (2, {})
    episode.calls[0].call = user_call
    assert Outcome.of(episode).calls == 1
