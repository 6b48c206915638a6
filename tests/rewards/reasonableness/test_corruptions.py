"""Trajectories with known faults: made as said, labelled as confirmed, and found by the auditor."""

from __future__ import annotations

import json

import pytest

from telegym.core.errors import ConfigurationError
from telegym.core.tool import CallError
from telegym.envs.registry import make_environment
from telegym.envs.tau2_telecom.environment import Tau2Telecom
from telegym.rewards.reasonableness.tau2.corruptions import DualCorrupter, Tau2Corrupter
from telegym.rewards.reasonableness.verification import (
    GOAL,
    RewardsReport,
    Tally,
    _trajectories,
    corrupter_for,
    verify_rewards,
)
from telegym.rewards.verdict import Code
from tests.toy import Toy


def test_every_kind_can_be_made() -> None:
    environment = Tau2Telecom(count=200)
    corrupter = Tau2Corrupter(environment)
    for kind in corrupter.kinds:
        made = (corrupter.seeded(task, kind, "0") for task in environment.tasks)
        found = next(each for each in made if each is not None)
        assert found.kind == kind and found.wrong and found.episode.done
        assert all(found.episode.calls[index].call.requestor == "assistant" for index in found.wrong)


def test_making_is_repeatable_and_varied() -> None:
    environment = Tau2Telecom(count=20)
    corrupter = Tau2Corrupter(environment)
    again = Tau2Corrupter(environment)
    turns = set()
    for variant in range(12):
        first, second = (each.seeded(environment.tasks[4], "unknown_tool", f"{variant}") for each in (corrupter, again))
        assert first is not None and second is not None
        assert first.episode.trajectory().to_json() == second.episode.trajectory().to_json()
        index = next(iter(first.wrong))
        assert first.episode.calls[index].error is CallError.UNKNOWN_TOOL
        turns.add(index)
    assert len(turns) > 3


def test_a_kind_that_does_not_fit_is_not_made() -> None:
    environment = Tau2Telecom(count=50)
    corrupter = Tau2Corrupter(environment)
    task = next(each for each in environment.tasks if each.labels["faults"] == ["data_mode_off"])
    assert corrupter.seeded(task, "resumption_after_contract", "0") is None
    with pytest.raises(ConfigurationError, match="Did you mean 'lucky_id'"):
        corrupter.seeded(task, "lucky_ids", "0")


def test_corruptions_are_made_for_the_mode() -> None:
    assert type(corrupter_for(Tau2Telecom(count=1, mode="dual"))) is DualCorrupter
    with pytest.raises(ConfigurationError, match="mode 'solo', not 'dual'"):
        Tau2Corrupter(Tau2Telecom(count=1, mode="dual"))
    with pytest.raises(ConfigurationError, match="no corruptions of"):
        corrupter_for(Toy())


@pytest.mark.parametrize(("mode", "count"), [("solo", 75), ("dual", 10)])
def test_the_auditor_finds_the_faults_and_blames_nothing_else(mode: str, count: int) -> None:
    environment = make_environment("tau2-telecom", mode=mode, split="test", seed=11, count=4 * count)
    progress: list[tuple[int, int]] = []
    report = verify_rewards(environment, count, seed=5, on_progress=lambda done, total: progress.append((done, total)))
    assert report.passed, (report.missed, report.problems)
    for view in report.views:
        total = report.total(view)
        assert total.trajectories == count and total.recall >= GOAL and total.precision >= GOAL
        assert total.naming > 0.95
        assert not report.total(view, corrupted=False).alarms
    assert progress[-1][0] == progress[-1][1] == count + count // 5
    assert max(tally.trajectories for tally in report.kinds.values()) <= 0.2 * count
    json.dumps(report.to_dict())


def test_rules_alone_find_nearly_as_much() -> None:
    environment = make_environment("tau2-telecom", count=200)
    report = verify_rewards(environment, 30, counterfactual=False)
    assert all(report.total(view).recall > 0.95 for view in report.views)


def test_a_task_is_kept_for_as_many_trajectories_as_wanted() -> None:
    environment = make_environment("tau2-telecom", count=4)
    first, second = (environment.tasks[index].id for index in range(2))
    made = _trajectories(environment, corrupter_for(environment), 6, "0", ("unknown_tool",), RewardsReport("x"), 3)
    assert [each.episode.task.id for each in made] == [first] * 3 + [second] * 4
    with pytest.raises(ConfigurationError, match="each is 0"):
        verify_rewards(environment, 1, each=0)


def test_a_report_says_what_is_missing() -> None:
    report = RewardsReport("x", {("a", "oracle"): Tally(wrong=100, found=90, named=80, alarms=10)})
    report.kinds["none", "oracle"] = Tally(calls=5, alarms=1)
    total = report.total("oracle")
    assert (total.recall, total.precision, total.naming) == (0.9, 0.9, 80 / 90)
    assert not report.passed and len(report.missed) == 3
    assert Tally().recall == Tally().precision == Tally().naming == 1
    assert Code("order") is Code.ORDER
