"""What is left of the causes after what was seen: nothing true is ever excluded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from telegym.envs.base_station.faults.temporal import Form, forms_of
from telegym.envs.base_station.hypotheses import Hypothesis, hypotheses, signs
from telegym.envs.base_station.noise import choice
from telegym.envs.base_station.observations import observe, parse, site_of
from telegym.envs.base_station.players.steps import Call, Steps

from .trials import carried_out, codes, trial


class Asked(NamedTuple):
    name: str
    arguments: dict[str, object]


class Seen(NamedTuple):
    call: Asked
    content: str
    error: str | None = None


def seen(tool: str, content: str, **arguments: object) -> Seen:
    return Seen(Asked(tool, arguments), content)


def causes(found: tuple[Hypothesis, ...], site: str | None = None) -> set[str]:
    return {item.code for item in found if site is None or site_of(item.element_id) == site}


# --- text --------------------------------------------------------------------------------------------------


def test_pairs_and_tables_are_read() -> None:
    result = parse(
        "link: FH-001-N7-2  state: LOS\nend,tx_dbm,rx_dbm\nbbu,-2.0,-40.0\nru,no answer,no answer\nlimit: -18"
    )
    assert result.fields == {"link": "FH-001-N7-2", "state": "LOS", "limit": "-18"}
    assert result.rows("end")[0] == {"end": "bbu", "tx_dbm": "-2.0", "rx_dbm": "-40.0"}
    assert len(result.rows("end")) == 2


def test_a_row_of_lower_case_words_is_no_new_table() -> None:
    result = parse("compared: 27\nparameter,present,planned\ncell_barred,true,false")
    assert result.rows("parameter") == ({"parameter": "cell_barred", "present": "true", "planned": "false"},)


def test_quoted_cells_hold_commas() -> None:
    result = parse('alarm_id,specific_problem\nALM-1,"Mains supply lost, site on battery"')
    assert result.rows("alarm_id")[0]["specific_problem"] == "Mains supply lost, site on battery"


@pytest.mark.parametrize("text", ["", "…(+3 more)", "a,b,c", ": :", '"', "x: ", "total: many\nalarm_id,raised\n1"])
def test_unknown_text_does_no_harm(text: str) -> None:
    calls = [
        seen(tool, text) for tool in ("list_alarms", "get_power_status", "get_kpi", "get_antenna_status", "nothing")
    ]
    assert causes(hypotheses(calls)) >= set(signs()) - {"microwave_rain_fade"}


def test_a_table_with_rows_left_out_excludes_nothing() -> None:
    rows = "version,time,element_id,parameter,old,new,user,reference\nV2,03-10T10:00,S001-L8-1,ttt_ms,80,100,x,-"
    whole = seen("get_config_history", f"element: region  changes: 1\n{rows}", element_id="region", hours=48)
    part = seen("get_config_history", f"element: region  changes: 9\n{rows}\n…(+8 more)", element_id="region", hours=48)
    assert "pci_collision" not in causes(hypotheses([whole]))
    assert "pci_collision" in causes(hypotheses([part]))


# --- weighing ----------------------------------------------------------------------------------------------


def test_there_is_a_row_for_every_everyday_cause() -> None:
    assert set(signs()) == set(codes())


def test_before_anything_was_seen_everything_is_possible_somewhere() -> None:
    found = hypotheses([])
    assert {(item.element_id, item.status) for item in found} == {("", "open")}
    assert causes(found) == set(signs())


def test_an_unlocked_cell_was_not_left_locked() -> None:
    text = "cell: S001-L8-1  node: ENB-001\nadministrative_state: {}  operational_state: ENABLED\nbarred: false"
    notices = seen("get_external_notices", "scope: region  notices: 0")
    open_ = hypotheses([notices, seen("get_cell_status", text.format("UNLOCKED"), cell_id="S001-L8-1")])
    locked = hypotheses([notices, seen("get_cell_status", text.format("LOCKED"), cell_id="S001-L8-1")])
    assert all(item.element_id != "S001-L8-1" for item in open_ if item.code == "cell_left_locked")
    assert Hypothesis("cell_left_locked", "S001-L8-1", "confirmed", (0, 1)) in locked


def test_a_change_that_is_as_planned_is_no_cause() -> None:
    log = "version,time,element_id,parameter,old,new,user,reference\nV2,03-10T10:00,S001-L8-1,tac,4102,4101,x,-"
    calls = [seen("get_config_history", f"element: region  changes: 1\n{log}", element_id="region", hours=48)]
    assert any(item.code == "wrong_tac" and item.status == "supported" for item in hypotheses(calls))
    calls.append(
        seen(
            "get_config", "element: S001-L8-1\ncompared: 27  different: 0", element_id="S001-L8-1", compare_to="planned"
        )
    )
    assert not any(item.code == "wrong_tac" and item.status != "open" for item in hypotheses(calls))


def test_what_is_seen_after_a_repair_excludes_nothing() -> None:
    text = "node: ENB-001  licences: 1\nlicence_id,feature,used,expires,state\nLIC-1,CARRIER,1/2,2031-03-09,VALID"
    look, repair = (
        seen("get_licence_status", text, node_id="ENB-001"),
        seen("activate_licence", "done", node_id="ENB-001"),
    )
    row = seen("list_alarms", "total: 0 all (shown 0)", state="all", scope_id="ENB-001")
    assert "licence_expired" not in causes(hypotheses([row, look]), "ENB-001")
    assert len(hypotheses([repair, row])) == len(hypotheses([repair]))


# --- soundness ---------------------------------------------------------------------------------------------


def arbitrary_calls(names: dict[str, list[str]], seed: int) -> Iterator[Call]:
    """Yield calls as somebody would make them who looks at anything at a site, in any order."""
    tools = {
        "get_cell_status": ("cell_id", "cell"),
        "get_node_status": ("node_id", "node"),
        "get_clock_status": ("node_id", "node"),
        "get_licence_status": ("node_id", "node"),
        "get_software_status": ("node_id", "node"),
        "get_power_status": ("site_id", "site"),
        "get_fronthaul_status": ("ru_id", "radio_unit"),
        "get_antenna_status": ("ru_id", "radio_unit"),
        "get_transport_status": ("element_id", "node"),
        "get_neighbour_relations": ("cell_id", "cell"),
        "get_interference_report": ("cell_id", "cell"),
        "run_cell_service_test": ("cell_id", "cell"),
        "get_logs": ("element_id", "site"),
        "get_config_history": ("element_id", "site"),
        "list_alarms": ("scope_id", "site"),
    }
    for number in range(14):
        tool = choice(tuple(tools), seed, "tool", number)
        parameter, kind = tools[tool]
        if names[kind]:
            yield Call(tool, {parameter: choice(tuple(names[kind]), seed, "element", number)})
    yield Call("list_alarms", {"state": "all", "limit": 50})
    yield Call("get_external_notices", {})
    yield Call("get_config_history", {"element_id": "region", "hours": 48})
    for name in names["cell"]:
        yield Call("get_config", {"element_id": name, "compare_to": "planned"})


def look_around(site: str, seed: int) -> Steps[None]:
    reply = yield Call("list_elements", {"parent_id": site, "limit": 100})
    names: dict[str, list[str]] = {"site": [site], "cell": [], "node": [], "radio_unit": []}
    for row in parse(reply.text).rows("element_id"):
        names.setdefault(row["type"], []).append(row["element_id"])
    yield from arbitrary_calls(names, seed)


@pytest.mark.parametrize("code", codes())
def test_the_true_cause_is_never_excluded(code: str) -> None:
    for seed in range(2):
        case = trial(code, seed, held_out=seed > 0, level=3 * seed)
        accepted = {*case.accepted, case.defect.element_id}
        sites = {site for name in accepted if (site := site_of(name))} | {case.site}
        _, made = carried_out(case.network, look_around(case.site, seed))
        for count in {*range(0, len(made), 4), len(made)}:
            left = [item.element_id for item in hypotheses(made[:count]) if item.code == code]
            assert any(name in ("", *accepted) or site_of(name) in sites for name in left), (
                f"{case.defect} was excluded by {made[max(count - 4, 0) : count]}"
            )


@pytest.mark.parametrize(("code", "form"), [(code, form) for code in codes() for form in forms_of(code)[1:]])
def test_the_true_cause_is_not_excluded_while_it_is_quiet_or_only_threatens(code: str, form: Form) -> None:
    case = trial(code, 5, form=form)
    accepted = {*case.accepted, case.defect.element_id}
    _, made = carried_out(case.network, look_around(case.site, 5))
    left = [item.element_id for item in hypotheses(made) if item.code == code]
    assert any(name in ("", *accepted) or site_of(name) == case.site for name in left), case.defect


# --- what leads astray -------------------------------------------------------------------------------------


def test_a_door_that_is_open_is_no_lying_sensor() -> None:
    row = "ALM-00001,03-10T10:00:00,MINOR,CAB-001,26693 Cabinet door is open,no,-"
    head = "alarm_id,raised,severity,managed_object,specific_problem,ack,cleared"
    once = seen("list_alarms", f"total: 1 all (shown 1)\n{head}\n{row}", state="all")
    assert not any(item.status == "confirmed" for item in hypotheses([once]))
    more = "\n".join(row.replace("00001", f"0000{number}") for number in (1, 2, 3))
    often = seen("list_alarms", f"total: 3 all (shown 3)\n{head}\n{more}", state="all")
    assert ("faulty_sensor_false_alarm", "S001") in [
        (item.code, item.element_id) for item in hypotheses([often]) if item.status == "confirmed"
    ] or ("faulty_sensor_false_alarm", "CAB-001") in [(item.code, item.element_id) for item in hypotheses([often])]


def test_an_event_that_has_not_begun_explains_nothing() -> None:
    record = seen(
        "get_record", "ticket: INC-10023  status: open\nopened: 03-10T10:00\nscope: S001", record_id="INC-10023"
    )
    head = "kind,start,expected_end,scope,text"
    later = seen(
        "get_external_notices", f"scope: region  notices: 1\n{head}\nevent,03-11T10:00,03-11T14:00,S001,Concert"
    )
    now = seen("get_external_notices", f"scope: region  notices: 1\n{head}\nevent,03-10T09:00,03-10T14:00,S001,Concert")
    assert not any(
        item.code == "mass_event_congestion" and item.status != "open" for item in hypotheses([record, later])
    )
    assert any(item.code == "mass_event_congestion" and item.status != "open" for item in hypotheses([record, now]))


def test_what_a_lost_node_last_told_is_not_taken_for_the_present() -> None:
    text = "cell: S001-L8-1  node: ENB-001\nadministrative_state: UNLOCKED  barred: false"
    old = seen("get_cell_status", f"oam_state: LOST  snapshot_age_min: 42\n{text}", cell_id="S001-L8-1")
    assert observe([old]).of("S001-L8-1", "barred") == []
    assert observe([old]).latest("ENB-001", "answers") == "no"


def test_alarms_of_sites_out_of_reach_may_be_missing() -> None:
    head = "alarm_id,raised,severity,managed_object,specific_problem,ack"
    row = "ALM-00001,03-10T10:00:00,CRITICAL,ENB-003,26312 Management connection lost,no"
    found = hypotheses([seen("list_alarms", f"total: 1 active (shown 1)\n{head}\n{row}")])
    assert [item.element_id for item in found if item.code == "licence_expired"] == ["S003"]
    assert "licence_expired" not in causes(hypotheses([seen("list_alarms", "total: 0 active (shown 0)")]))


def test_facts_are_kept_with_the_calls_they_are_from() -> None:
    calls = [seen("wait", "time passed"), seen("run_spectrum_scan", "cell: S001-L8-1\npeaks: 0", cell_id="S001-L8-1")]
    assert observe(calls).of("S001-L8-1", "foreign_signals")[0].call == 1
