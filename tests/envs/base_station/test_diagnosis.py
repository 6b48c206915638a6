"""The blind expert finds what is wrong, seeing only what agents see."""

from __future__ import annotations

import pytest

from telegym.envs.base_station.hypotheses import hypotheses
from telegym.envs.base_station.players.diagnosis import MAX_CALLS, diagnose
from telegym.envs.base_station.players.steps import Call, Reply

from .trials import carried_out, codes, trial

READS = ("get_", "list_", "rank_", "search_", "run_")
HARD = frozenset(
    {"passive_intermodulation", "csr_port_or_sfp_failure", "transport_congestion", "battery_capacity_degraded"}
)
"""Causes that are found most of the time, but not always."""


@pytest.mark.parametrize("code", codes())
def test_cause_and_element_are_found(code: str) -> None:
    right = 0
    for seed in (10, 11):
        case = trial(code, seed, held_out=seed == 11)
        found, made = carried_out(case.network, diagnose(case.ticket))
        assert len(made) <= MAX_CALLS
        assert all(record.call.name.startswith(READS) for record in made)
        good = case.is_named(found.root_cause, found.element_id)
        right += good
        if good and found.confirmed:
            assert code in {item.code for item in hypotheses(made) if item.status == "confirmed"}
    assert right == 2 or code in HARD


def test_a_diagnosis_survives_a_network_that_refuses_everything() -> None:
    steps = diagnose("INC-1: Alarm at S001")
    call, made = next(steps), 0
    with pytest.raises(StopIteration) as ended:
        while True:
            made += 1
            assert isinstance(call, Call)
            call = steps.send(Reply("Error: ELEMENT_UNREACHABLE: nothing answers", True, 0.5))
    found = ended.value.value
    assert (found.root_cause, found.confirmed) == ("", False) and made <= MAX_CALLS
