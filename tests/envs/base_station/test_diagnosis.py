"""The blind expert finds what is wrong, seeing only what agents see."""

from __future__ import annotations

import pytest

from telegym.envs.base_station.faults.combinations import combination, combination_names
from telegym.envs.base_station.faults.temporal import forms_of
from telegym.envs.base_station.hypotheses import hypotheses
from telegym.envs.base_station.players.diagnosis import (
    MAX_CALLS,
    MAX_LATE_CALLS,
    MAX_MORE_CALLS,
    Diagnosis,
    diagnose,
)
from telegym.envs.base_station.players.steps import Call, Reply

from .trials import Made, Trial, carried_out, codes, combined, trial

READS = ("get_", "list_", "rank_", "search_", "run_", "wait")
MOST = MAX_CALLS + MAX_MORE_CALLS + MAX_LATE_CALLS + 4
"""Most calls of three searches, with what is asked and waited for between them."""
INTERRUPTING = ("loopback_near", "loopback_far", "bert", "offline")


def diagnosed(case: Trial) -> tuple[Diagnosis, list[Made]]:
    found, made = carried_out(case.network, diagnose(case.ticket))
    assert len(made) <= MOST
    for record in made:
        assert record.call.name.startswith(READS), record.call
        assert not set(INTERRUPTING) & {str(value) for value in record.call.arguments.values()}, record.call
    return found, made


@pytest.mark.parametrize("code", codes())
def test_cause_and_element_are_found_and_nothing_else_is_confirmed(code: str) -> None:
    case = trial(code, 10)
    found, made = diagnosed(case)
    assert case.is_named(found.root_cause, found.element_id), found
    assert found.confirmed and found.notes
    assert {item.code for item in hypotheses(made) if item.status == "confirmed"} == {code}


def test_old_alarms_innocent_changes_and_vague_tickets_seldom_lead_astray() -> None:
    wrong = []
    for code in codes():
        case = trial(code, 11, held_out=True, level=3)
        found, _ = diagnosed(case)
        if not case.is_named(found.root_cause, found.element_id):
            wrong.append((code, case.ticket, found))
    assert len(wrong) <= 4, wrong


def test_other_forms_are_found_too() -> None:
    wrong = []
    jobs = [(code, form) for code in codes() for form in forms_of(code)[1:]]
    for code, form in jobs:
        case = trial(code, 12, form=form)
        found, _ = diagnosed(case)
        if not case.is_named(found.root_cause, found.element_id):
            wrong.append((code, form, found))
    assert len(wrong) <= len(jobs) // 5, wrong


@pytest.mark.parametrize("name", combination_names())
def test_the_main_cause_of_several_is_named_with_what_belongs_to_it(name: str) -> None:
    case = combined(name, 14)
    found, _ = diagnosed(case)
    roles = zip(case.defects, combination(name).parts, strict=True)
    required = {defect.code for defect, part in roles if part.role == "required"}
    assert found.root_cause in required | {"baseband_board_failure"}
    assert {found.root_cause, *(code for code, _ in found.additional)} == required


def test_a_diagnosis_survives_a_network_that_refuses_everything() -> None:
    steps = diagnose("INC-1: Alarm at S001")
    call, made = next(steps), 0
    with pytest.raises(StopIteration) as ended:
        while True:
            made += 1
            assert isinstance(call, Call)
            call = steps.send(Reply("Error: ELEMENT_UNREACHABLE: nothing answers", True, 0.5))
    found = ended.value.value
    assert (found.root_cause, found.confirmed) == ("", False) and made <= MOST


def test_tools_that_are_not_there_are_asked_for_once() -> None:
    steps, tools = diagnose("INC-1: Alarm at S001"), []
    call = next(steps)
    with pytest.raises(StopIteration):
        while True:
            tools.append(call.tool)
            call = steps.send(Reply(f"Error: no tool '{call.tool}'.", True, 0.2))
    assert len(tools) == len(set(tools))
