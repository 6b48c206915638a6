"""Remedies: every everyday cause has one, and it removes the cause or hands it over."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import cache
from itertools import product
from typing import Any

import pytest

from telegym.core.errors import ConfigurationError
from telegym.envs.base_station.faults import Defect, fault, fault_codes, fault_infos
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.outcome import SELF_HEALING
from telegym.envs.base_station.players.desk import NEEDED_LOOKS, Desk, fields, rows, site_of
from telegym.envs.base_station.players.remedies import remedies, remedy_of
from telegym.envs.base_station.players.steps import Call, Reply, Steps
from telegym.envs.base_station.policy.constants import PolicyConstants
from telegym.envs.base_station.process.records import Escalation
from tests.envs.base_station.trials import carried_out
from tests.tools.base_station.worlds import TICKET, city, town

ELSEWHERE = {"microwave_rain_fade"}
"""Causes for which neither of the two networks has an element."""


@cache
def _faulty(code: str) -> tuple[Network, Defect]:
    return next(_cases(code))


def _cases(code: str) -> Iterator[tuple[Network, Defect]]:
    """Yield networks with a cause at several places."""
    made = fault(code)
    for built, seed in product((town, city), (1, 2, 3)):
        for element in made.eligible(built())[:4]:
            network = built()
            defect = made.inject(network, element, None, seed=seed)
            network.advance(60 * made.lead_min)
            yield network, defect


def repaired(desk: Desk, code: str, element: str) -> Steps[str]:
    remedy = remedy_of(code)
    seen = yield from remedy.look(desk, element)
    return (yield from remedy.work(desk, element, seen))


def test_every_everyday_cause_has_a_remedy() -> None:
    assert set(fault_codes(1)) <= remedies().keys() <= fault_infos().keys()
    with pytest.raises(ConfigurationError, match="Did you mean 'cell_barred'"):
        remedy_of("cell_bared")


@pytest.mark.parametrize("code", sorted(set(fault_codes(1)) - ELSEWHERE))
def test_a_remedy_removes_its_cause_or_hands_it_over_where_parts_are_in_stock(code: str) -> None:
    for network, defect in _cases(code):
        resolution, made = carried_out(network, repaired(Desk(TICKET, PolicyConstants()), code, defect.element_id))
        assert resolution and made
        if not any("not in stock" in item.content for item in made):
            break
    else:
        pytest.fail(f"no parts for {code} anywhere")
    handed = any(case.accepted for case in network.all(Escalation))
    assert fault(code).cleared(network, defect) or code in SELF_HEALING or (handed and fault_infos()[code].hand_over)


def test_a_relation_may_be_named_instead_of_its_first_cell() -> None:
    kept, defect = _faulty("missing_neighbour")
    target = dict(defect.parameters)["target"]
    for element in (f"{defect.element_id}>{target}", f"{target}>{defect.element_id}"):
        network = kept.fork()
        _, made = carried_out(network, repaired(Desk(TICKET, PolicyConstants()), "missing_neighbour", element))
        assert not [item.content for item in made if item.error]
        assert fault("missing_neighbour").cleared(network, defect)


# --- the desk -------------------------------------------------------------------------------------------


def answered(steps: Generator[Call, Reply, Any], text: str = "fine", *, error: bool = False) -> list[Call]:
    """Answer every call alike; return the calls."""
    made: list[Call] = []
    try:
        made.append(next(steps))
        while True:
            made.append(steps.send(Reply(text, error, 1.0)))
    except StopIteration:
        return made


@pytest.mark.parametrize(
    ("element", "looked", "expected"),
    [
        ("PWR-004", [], ["PWR-004", "S004"]),
        ("PWR-004", ["PWR-004"], ["PWR-004"]),
        ("PWR-004", ["S004", "PWR-004"], []),
        ("PWR-004", ["S005", "PWR-005"], ["PWR-004", "S004"]),
        ("TL-003-004", ["TL-003-004"], ["TL-003-004"]),
        ("S004-L18-1>S005-L18-2", ["S004-L18-1"], ["S004-L18-1"]),
    ],
)
def test_a_diagnosis_is_supported_by_as_many_looks_as_are_missing(
    element: str, looked: list[str], expected: list[str]
) -> None:
    desk = Desk(TICKET, PolicyConstants())
    for name in looked:
        desk.note(Call("get_element_info", {"element_id": name}), Reply("fine", False, 0.0))
    made = answered(desk.support(element))
    assert [call.arguments["element_id"] for call in made] == expected
    assert len(made) <= NEEDED_LOOKS


def test_refused_looks_and_other_calls_support_nothing() -> None:
    desk = Desk(TICKET, PolicyConstants())
    desk.note(Call("get_power_status", {"site_id": "S004"}), Reply("Error", True, 1.0))
    desk.note(Call("list_alarms", {"scope_id": "S004"}), Reply("fine", False, 2.0))
    assert desk.looks == [] and desk.elapsed == 3.0


def test_replies_are_read_as_they_are_printed() -> None:
    text = "site: S004  mains: on\nload_kw: 2.5\nid,state\nA,UP\nB,DOWN\nno table"
    assert fields(text) == {"site": "S004", "mains": "on", "load_kw": "2.5"}
    assert rows(text, "id") == [{"id": "A", "state": "UP"}, {"id": "B", "state": "DOWN"}]
    assert rows(text, "other") == []


@pytest.mark.parametrize(
    ("name", "site"),
    [("S004-L18-1", "S004"), ("RU-004-L18-1", "S004"), ("PWR-004-Q1", "S004"), ("TL-003-004", ""), ("region", "")],
)
def test_the_site_in_a_name(name: str, site: str) -> None:
    assert site_of(name) == site
