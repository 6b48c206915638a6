"""Single rules of the auditor of base-station maintenance, each by what made it necessary."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telegym.core.episode import CallRecord, Episode
from telegym.core.messages import Message, ToolCall
from telegym.core.tool import CallError
from telegym.envs.base_station.cases import truth_of
from telegym.envs.base_station.environment import BaseStation
from telegym.envs.base_station.hypotheses import Hypothesis, hypotheses, weigh
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import PowerSystem, TransportLink
from telegym.envs.base_station.observations import Observations, conclude, take_in
from telegym.envs.base_station.players.expert import expert
from telegym.envs.base_station.players.steps import Call, Reply, Steps, play, within_stock
from telegym.envs.base_station.power_model import mains_live
from telegym.rewards.reasonableness.base_station import BaseStationAuditor
from telegym.rewards.reasonableness.base_station.case import Act, Case
from telegym.rewards.reasonableness.base_station.claims import _may_be, unfinished
from telegym.rewards.reasonableness.base_station.corruptions import BaseStationCorrupter, _near_truth
from telegym.rewards.reasonableness.base_station.naming import _stands
from telegym.rewards.reasonableness.base_station.questions import answer_claim
from telegym.rewards.reasonableness.base_station.reading import (
    LULL_S,
    SEARCHED,
    _focus,
    _refused_for_now,
    waits_for_load,
)
from telegym.rewards.reasonableness.base_station.refusals import foreseeable
from telegym.rewards.reasonableness.base_station.treatment import Ailment, eases, helps, likelihood
from telegym.rewards.reasonableness.corruptions import Corrupter
from telegym.rewards.verdict import Check, Code, View

ENVIRONMENT = BaseStation(count=3)


def act(tool: str, index: int = 0, *, content: str = "", minutes: int = 1, **arguments: Any) -> Act:
    """Return a call of its own turn; one whose answer begins with `Error` was refused."""
    error = CallError.REFUSED if content.startswith("Error") else None
    call = ToolCall(id=f"c{index}", name=tool, arguments=arguments)
    record = CallRecord(index, index + 1, call, content, error, float(minutes), None, None)
    return Act(index, index, tool, arguments, record, 0, 60 * minutes, None, str(arguments.get("element_id", "")))


def cause(code: str, element: str, status: str = "open") -> Hypothesis:
    return Hypothesis(code, element, cast(Any, status), ())


def case(*acts: Act, **more: Any) -> Case:
    given: dict[str, Any] = {"acts": list(acts), "submitted": [a for a in acts if a.tool == "submit_diagnosis"], **more}
    return cast(Case, SimpleNamespace(**given))


# --- approvals ---------------------------------------------------------------------------------------------


def approval(kind: str, element: str = "S001-L8-1") -> Act:
    return act("request_change_approval", element_ids=[element], change_type=kind, justification="…")


@pytest.mark.parametrize(
    ("kind", "code", "right"),
    [
        ("parameter", "pci_collision", True),
        ("reset", "pci_collision", False),
        ("tilt", "tilt_misconfiguration", True),
        ("reset", "tx_branch_failure", True),
        ("reset", "utility_mains_outage", False),
        ("lock", "vswr_connector_degradation", True),
        ("reset", "sleeping_cell_access", True),
        ("no such kind", "sleeping_cell_access", False),
    ],
)
def test_an_approval_is_as_right_as_the_work_it_is_for(kind: str, code: str, right: bool) -> None:
    assert helps(approval(kind), Ailment(code, ("S001-L8-1",))) is right


def test_nothing_is_tried_on_no_evidence_while_a_cause_was_shown_elsewhere() -> None:
    here = cause("sleeping_cell_access", "S001")
    assert likelihood(approval("reset"), [here]) == 1.0
    assert likelihood(approval("reset"), [here, cause("pci_collision", "S004-L8-3", "confirmed")]) == 0.0
    assert likelihood(approval("reset"), [here, cause("stale_alarm", "S004", "confirmed")]) == 1.0
    supported = cause("sleeping_cell_access", "S001-L8-1", "supported")
    assert likelihood(approval("reset"), [supported, cause("pci_collision", "S004-L8-3", "confirmed")]) > 0.5


# --- claims ------------------------------------------------------------------------------------------------


def test_what_was_shown_elsewhere_is_not_claimed_here() -> None:
    shown = cause("stale_alarm", "S004", "confirmed")
    assert not _may_be("stale_alarm", "S001", [shown])
    assert _may_be("stale_alarm", "S004", [shown])
    assert _may_be("stale_alarm", "S001", [cause("stale_alarm", "S001")])


def test_what_may_be_handed_over_has_to_be_handed_to_somebody() -> None:
    said = act("submit_diagnosis", root_cause="transport_congestion", element_id="TL-001-002")
    asked = act("escalate_ticket", 1, target="rf_planning", element_ids=["TL-001-002"])
    refused = act("escalate_ticket", 1, content="Error: NOT_FOUND: …", target="rf_planning")
    facts = {"kind": "ESC", "truth": object()}
    assert "transport_congestion" in unfinished(case(said, **facts), View.OBSERVABLE)
    assert "transport_congestion" in unfinished(case(said, refused, **facts), View.OBSERVABLE)
    assert not unfinished(case(said, asked, **facts), View.OBSERVABLE)


def test_only_alarms_that_stay_are_worth_clearing() -> None:
    network = SimpleNamespace(
        alarms={"ALM-1": SimpleNamespace(key="ENV_INTRUSION"), "ALM-2": SimpleNamespace(key="CELL_UNAVAILABLE")}
    )
    for name, right in (("ALM-1", True), ("ALM-2", False)):
        clearing = act("update_alarm", alarm_id=name, action="clear")
        clearing.before, clearing.element_id = cast(Network, network), "S004"
        assert helps(clearing, Ailment("stale_alarm", ("S004",))) is right


def test_a_name_that_does_not_exist_is_no_fault_of_form() -> None:
    episode = Episode(ENVIRONMENT, next(task for task in ENVIRONMENT.tasks if task.data["kind"] != "QNA"))
    given = {"ticket_id": "INC-10023", "root_cause": "wrong_tac", "element_id": "S998-L8-1"}
    call = ToolCall(id="c", name="submit_diagnosis", arguments=given)
    episode.step(Message(role="assistant", tool_calls=(call,)))
    verdict = BaseStationAuditor().audit(episode, View.OBSERVABLE, counterfactual=False).verdicts[0]
    assert episode.calls[0].content.startswith("Error: INVALID_ARGUMENT")
    assert verdict.code is Code.UNGROUNDED
    assert verdict.checks[Check.SCHEMA] == 1.0


# --- what a task asks for and what there is not -----------------------------------------------------------


def test_that_something_does_not_exist_is_an_answer_if_the_task_asks_for_it() -> None:
    network = truth_of(ENVIRONMENT.tasks[0].data).network
    told = "Error: NOT_FOUND: no site 'S998'. Did you mean 'S008'?"
    read = act("get_power_status", content=told, site_id="S998")
    asked = case(read, network=network, briefing="How full is the battery of S998?")
    assert foreseeable(asked, read) is None
    assert foreseeable(case(read, network=network, briefing="How full is the battery of S001?"), read) is not None
    answer = act("submit_answer", 1, answer="not_available")
    assert answer_claim(case(read, answer), answer, View.OBSERVABLE)[0].true
    guess = act("submit_answer", 0, answer="not_available")
    assert not answer_claim(case(guess), guess, View.OBSERVABLE)[0].true


# --- waits -------------------------------------------------------------------------------------------------


def test_who_has_searched_may_wait_for_another_hour() -> None:
    looks = [act("get_cell_status", index, cell_id=f"S001-L8-{index}") for index in range(SEARCHED)]
    long, short = (act("wait", SEARCHED, minutes=minutes) for minutes in (LULL_S // 60, LULL_S // 60 - 1))
    unclear = [cause("external_interferer", "S001-L8-1", "supported")]
    assert waits_for_load(case(*looks), long, unclear)
    assert not waits_for_load(case(*looks), short, unclear)
    assert not waits_for_load(case(*looks[1:]), long, unclear)
    assert not waits_for_load(case(*looks), long, [cause("pci_collision", "S001-L8-1", "confirmed")])
    assert waits_for_load(case(*looks), long, [cause("stale_alarm", "S001", "confirmed")])


def test_a_test_that_was_refused_for_now_may_be_waited_for_until_it_is_made() -> None:
    busy = act("run_pim_test", content="Error: PRECONDITION_FAILED: S003-L26-1 is busy", ru_id="RU-003-L26-1")
    reads = [act("get_cell_status", index, cell_id="S001-L8-1") for index in range(1, 9)]
    again = act("run_pim_test", 9, content="ru: RU-003-L26-1", ru_id="RU-003-L26-1")
    assert _refused_for_now([busy, *reads]) is busy
    assert _refused_for_now([busy, *reads, again]) is None
    other = act("set_parameter", content="Error: PRECONDITION_FAILED: not now", element_id="S001-L8-1")
    assert _refused_for_now([other, *reads[:3]]) is other
    assert _refused_for_now([other, *reads]) is None


# --- reserves, places, parts -------------------------------------------------------------------------------


def test_a_reserve_is_right_without_mains_and_its_end_with_mains() -> None:
    network = truth_of(ENVIRONMENT.tasks[0].data).network.fork()
    power = next(item for item in network.all(PowerSystem) if mains_live(item))
    site = f"S{power.id[4:]}"

    def said(action: str) -> str:
        change = act("control_site_power", site_id=site, action=action)
        change.before = network
        return eases(change)

    assert said("stop_generator")
    assert said("battery_saver_off")
    assert not said("start_generator")
    network.update(network.get(PowerSystem, power.id), mains_ok=False)
    assert said("start_generator")
    assert not said("stop_generator")


def test_what_stands_between_sites_draws_attention_to_both() -> None:
    seen = Observations()
    seen.note("TL-007-008", "alarm.TRN_UTIL_HIGH", "active")
    assert _focus(case(truth=None, briefing="", ticket_id="INC-10023"), seen) == {"S007", "S008"}


def test_a_part_that_is_known_to_be_missing_is_not_asked_for() -> None:
    wanted = {"site_id": "S001", "spare_part_types": ["MCB"]}
    replies: list[Reply] = []

    def player(episode: Episode) -> Steps[None]:
        yield Call("list_resources", {"resource_type": "spares", "part_type": "MCB"})
        replies.append((yield Call("dispatch_technician", wanted)))

    for stock, made in (("0", 0), ("2", 1)):
        steps = within_stock(player)(cast(Episode, None))
        next(steps)
        calls = []
        try:
            calls.append(steps.send(Reply(f"part_type,stock,price_eur\nMCB,{stock},25", False, 1.0)))
            steps.send(Reply("work_order: WO-00012", False, 1.0))
        except StopIteration:
            pass
        assert len(calls) == made
        assert replies[-1].error is (made == 0)


# --- names -------------------------------------------------------------------------------------------------

_PIECES = st.sampled_from(["S001", "S001-L8-1", "-001", "Q1", " ", "-", ",", "a", "7", "é", "\n"])


@given(st.sampled_from(["S001", "S001-L8-1", "-001", "Q1"]), st.lists(_PIECES, max_size=8), st.booleans())
def test_a_name_stands_where_the_pattern_finds_it(name: str, pieces: list[str], anywhere: bool) -> None:
    text = "".join(pieces)
    left = "" if anywhere else r"(?<![A-Za-z0-9-])"
    pattern = re.compile(f"{left}{re.escape(name)}(?![A-Za-z0-9])")
    assert _stands(name, text, anywhere=anywhere) is bool(pattern.search(text))


# --- causes are weighed as calls come ----------------------------------------------------------------------


@pytest.mark.parametrize("index", range(3))
def test_weighing_after_every_call_gives_what_weighing_at_once_gives(index: int) -> None:
    calls = play(Episode(ENVIRONMENT, ENVIRONMENT.tasks[index]), expert).calls
    seen = Observations()
    for place, record in enumerate(calls):
        take_in(seen, place, record)
        conclude(seen)
        assert set(weigh(seen)) == set(hypotheses(calls[: place + 1]))


# --- corruptions -------------------------------------------------------------------------------------------


def test_branches_are_the_play_before_each_of_its_turns() -> None:
    corrupter = BaseStationCorrupter(ENVIRONMENT)
    task = ENVIRONMENT.tasks[1]
    quick, slow = corrupter._branches(task, "0"), Corrupter._branches(corrupter, task, "0")
    assert [len(branch.calls) for branch in quick] == list(range(len(quick)))
    for one, other in zip(quick, slow, strict=True):
        assert [record.content for record in one.calls] == [record.content for record in other.calls]
        assert corrupter.next_call(one, "0") == corrupter.next_call(other, "0")


def test_links_on_the_way_of_what_is_cut_are_no_wrong_targets() -> None:
    truth = truth_of(ENVIRONMENT.tasks[0].data)
    network: Network = truth.network
    link = next(item.id for item in network.all(TransportLink) if network.index.behind.get(item.id))
    cut = truth._replace(defects=(truth.defects[0]._replace(code="backhaul_fibre_cut", element_id=link),), harmless=())
    behind = set(network.index.behind[link])
    shared = {name for name, sites in network.index.behind.items() if set(sites) & behind}
    assert shared <= _near_truth(cut)
