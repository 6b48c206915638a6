"""The oracle solves what is accepted as a task, by every version of the policy; what it cannot solve is no task."""

from __future__ import annotations

import pytest

from telegym.core.episode import Episode
from telegym.core.task import Task
from telegym.envs.base_station.environment import BaseStation
from telegym.envs.base_station.faults import Defect
from telegym.envs.base_station.outcome import violations_of
from telegym.envs.base_station.players import reference
from telegym.envs.base_station.players.baselines import no_op
from telegym.envs.base_station.players.expert import expert
from telegym.envs.base_station.players.oracle import oracle, repair_order
from telegym.envs.base_station.players.reference import accepted_par, reference_play
from telegym.envs.base_station.players.steps import play
from telegym.envs.base_station.policy import policy_variants
from telegym.envs.base_station.tasks import KINDS


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    """Return a task of every kind."""
    return [BaseStation(count=1, seed=2, kind=kind).tasks[0] for kind in KINDS]


@pytest.mark.parametrize("policy", policy_variants())
def test_every_version_of_the_policy_can_be_kept(tasks: list[Task], policy: str) -> None:
    for task in tasks:
        played = reference_play(task, policy)
        assert played.score().success, (task.id, played.score())
        assert not violations_of(played), task.id


def test_the_par_is_what_the_oracle_needs(tasks: list[Task]) -> None:
    for task in tasks:
        assert accepted_par(task) == tuple(task.data["par"])


def test_what_the_oracle_does_not_solve_is_no_task(tasks: list[Task], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "oracle", no_op)
    cases = [task for task in tasks if task.labels["kind"] in ("RES", "DIA", "ESC", "PRV")]
    assert [accepted_par(task) for task in cases] == [None] * len(cases)


def test_what_others_depend_on_is_repaired_first() -> None:
    codes = ("cell_barred", "passive_intermodulation", "gnss_antenna_failure", "utility_mains_outage")
    defects = tuple(Defect(code, "S004", (), 0) for code in codes)
    assert [defect.code for defect in repair_order(defects)] == [*reversed(codes[1:]), "cell_barred"]


def test_the_expert_knows_no_more_than_an_agent(tasks: list[Task]) -> None:
    """What it does is the same when all that a task says of its cause is taken away."""
    for task in tasks:
        if task.labels["kind"] != "QNA":
            known, blind = (Episode(BaseStation(count=0), task, record=False) for _ in range(2))
            blind.task = task.model_copy(update={"labels": {}, "data": {"kind": task.data["kind"]}})
            calls = [[record.call for record in play(episode, expert).calls] for episode in (known, blind)]
            assert calls[0] == calls[1]


def test_oracle_and_expert_answer_questions_alike(tasks: list[Task]) -> None:
    question = next(task for task in tasks if task.labels["kind"] == "QNA")
    environment = BaseStation(count=0)
    assert [play(Episode(environment, question), player).score().value for player in (oracle, expert)] == [1.0, 1.0]
