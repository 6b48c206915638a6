"""Faults: every one breaks something, every repair mends it."""

from __future__ import annotations

import pytest

from telegym.core.errors import TaskError
from telegym.envs.tau2_telecom.composition import FAMILIES, Composition, compositions
from telegym.envs.tau2_telecom.faults import FAULTS, fault
from tests.envs.tau2_telecom.playing import ENVIRONMENT, case_of, task_of

SINGLES = [each for family in FAMILIES for each in compositions(family) if len(each.faults) == 1]


def test_twenty_faults_of_which_three_need_a_human() -> None:
    assert len(FAULTS) == 20
    unfixable = {name for name, each in FAULTS.items() if not each.fixable}
    assert unfixable == {"lock_sim_card_pin", "contract_end_suspension", "data_usage_exceeded_no_refuel"}


def test_every_fault_occurs_in_some_family() -> None:
    assert {name for family in FAMILIES for each in compositions(family) for name in each.faults} == set(FAULTS)


def test_unknown_fault_names_the_nearest() -> None:
    with pytest.raises(TaskError, match="Did you mean 'bad_vpn'"):
        fault("bad_vnp")


@pytest.mark.parametrize("composition", SINGLES, ids=lambda each: each.name)
def test_fault_breaks_and_repair_mends(composition: Composition) -> None:
    task = task_of(composition.family, *composition.faults)
    world = ENVIRONMENT.build_world(task)
    met = [world.run(each.target, each.name, each.arguments) == each.expected for each in task.assertions]
    if composition.expected_failure:
        assert all(met)
        return
    assert not all(met)
    for action in task.actions:
        world.run(action.requestor, action.name, action.arguments)
    assert all(world.run(each.target, each.name, each.arguments) == each.expected for each in task.assertions)
    assert case_of(task).repaired.hash() == world.state.hash()
