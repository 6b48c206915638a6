"""Scoring: the official rule to the letter; the strict rule on right and wrong ways."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.episode import EndReason, Episode, Limits
from telegym.core.messages import Message, ToolCall
from telegym.core.score import Score
from telegym.core.task import Assertion, ReferenceAction, Task
from telegym.core.user import User
from telegym.envs.tau2_telecom.composition import FAMILIES, Composition, compositions
from telegym.envs.tau2_telecom.environment import Tau2Telecom
from telegym.envs.tau2_telecom.native import make_task
from telegym.envs.tau2_telecom.scoring import RULES
from telegym.envs.tau2_telecom.world import TelecomWorld
from tests.envs.tau2_telecom.playing import (
    ENVIRONMENT,
    Step,
    begin,
    case_of,
    identify,
    message_of,
    own,
    play,
    score,
    task_of,
)

OFFICIAL = Tau2Telecom(count=0, scoring="benchmark")
RESET: tuple[Step, ...] = ("reset_apn_settings", "reboot_device")
TRANSFER: Step = ("transfer_to_human_agents", {"summary": "A human, please."})


def official(task: Task, *steps: Step) -> Score:
    episode = Episode(OFFICIAL, task)
    for number, step in enumerate(steps):
        episode.step(message_of(number, step))
    return episode.score()


def line_details(task: Task) -> Step:
    return "get_details_by_id", {"id": case_of(task).subject.line_id}


def bills(task: Task) -> Step:
    return "get_bills_for_customer", {"customer_id": case_of(task).subject.customer_id}


def request(task: Task, bill_id: str | None = None) -> Step:
    subject = case_of(task).subject
    return "send_payment_request", {"customer_id": subject.customer_id, "bill_id": bill_id or subject.bill_id}


def broken(score: Score) -> set[str]:
    return {name.removeprefix("rule:") for name in score.components if name.startswith("rule:")}


def other_account(task: Task) -> tuple[dict[str, str], str]:
    """Another customer's id with one of their lines, as arguments, and its status; an active line if there is one."""
    case = case_of(task)
    others = [
        ({"customer_id": each.customer_id, "line_id": line_id}, case.initial.lines[line_id].status)
        for each in case.initial.customers.values()
        for line_id in each.line_ids
        if each.customer_id != case.subject.customer_id
    ]
    return min(others, key=lambda found: found[1] != "Active")


# --- the official rule


def test_official_success_without_any_manners() -> None:
    task = task_of("service_issue", "airplane_mode_on")
    assert official(task, "toggle_airplane_mode", "done").value == 1.0


def test_official_failure_names_the_assertion() -> None:
    given = official(task_of("service_issue", "airplane_mode_on"), "done")
    assert given.value == 0.0 and given.components["assertions"] == 0.0
    assert "assert_service_status" in given.reasons[0]


def test_only_a_proper_end_counts() -> None:
    task = task_of("service_issue", "airplane_mode_on")
    unfinished = official(task, "toggle_airplane_mode")
    assert (unfinished.value, unfinished.components) == (0.0, {"ended": 0.0})
    talking = Episode(OFFICIAL, task)
    talking.step(message_of(0, "toggle_airplane_mode"))
    talking.step("All is well.")
    assert talking.end is EndReason.AGENT_ERROR and talking.score().value == 0.0
    stopping = Episode(OFFICIAL, task)
    stopping.step(message_of(0, "toggle_airplane_mode"))
    stopping.step("###STOP###")
    assert stopping.score().value == 1.0


def test_stopping_on_the_last_allowed_hop_is_too_late() -> None:
    task = task_of("service_issue", "airplane_mode_on")
    for hops, value in ((3, 0.0), (4, 1.0)):
        episode = Episode(OFFICIAL, task, limits=Limits(hops=hops))
        episode.step(message_of(0, "toggle_airplane_mode"))
        episode.step(message_of(1, "done"))
        assert episode.score().value == value


def test_any_transfer_will_do_officially() -> None:
    task = task_of("service_issue", "lock_sim_card_pin")
    assert official(task, TRANSFER, "done").value == 1.0
    assert official(task, ("transfer_to_human_agents", {}), "done").value == 1.0
    without = official(task, "check_sim_status", "done")
    assert without.value == 0.0 and without.reasons == ("never called: transfer_to_human_agents",)


def test_a_call_dropped_with_done_was_not_made() -> None:
    task = task_of("service_issue", "lock_sim_card_pin")
    episode = Episode(OFFICIAL, task)
    episode.step(message_of(0, TRANSFER, "done"))
    assert episode.score().value == 0.0


@pytest.mark.parametrize(
    ("compare", "arguments", "matches"),
    [
        (None, {"line_id": "L1"}, True),
        (None, {"line_id": "L2"}, False),
        (None, {"line_id": "L1", "other": 1}, False),
        (None, {}, True),
        (("gb",), {"line_id": "L2", "gb": 2.0}, True),
        (("gb",), {"line_id": "L1"}, False),
        ((), {"anything": 1}, True),
    ],
)
def test_matching_of_actions(compare: tuple[str, ...] | None, arguments: dict[str, Any], matches: bool) -> None:
    action = ReferenceAction(
        id="x",
        requestor="assistant",
        name="refuel_data",
        arguments={"line_id": "L1", "gb": 2.0},
        compare_arguments=compare,
    )
    task = task_of("service_issue", "lock_sim_card_pin").model_copy(update={"actions": (action,)})
    assert bool(official(task, ("refuel_data", arguments), "done").components["actions"]) is matches


def test_an_unknown_reward_basis_is_the_tasks_failure() -> None:
    task = task_of("service_issue", "airplane_mode_on")
    strange = task.model_copy(update={"data": task.data | {"reward_basis": ["DB"]}})
    given = official(strange, "done")
    assert given.failure is not None and given.failure.party == "task" and "DB" in given.failure.message


def test_an_assertion_that_cannot_be_asked_is_the_tasks_failure() -> None:
    task = task_of("service_issue", "airplane_mode_on")
    wrong = Assertion(target="user", name="assert_service_stattus", arguments={})
    given = official(task.model_copy(update={"assertions": (wrong,)}), "done")
    assert given.failure is not None and "assert_service_status" in given.failure.message


def test_communicated_facts() -> None:
    task = task_of("service_issue", "airplane_mode_on")
    record = {"evaluation_criteria": {"communicate_info": ["12345"]}}
    talk = task.model_copy(update={"data": task.data | {"reward_basis": ["COMMUNICATE"], "record": record}})
    for text, value in (("It is 12,345. ###STOP###", 1.0), ("It is 1. ###STOP###", 0.0)):
        episode = Episode(OFFICIAL, talk)
        episode.step(text)
        assert episode.score().value == value


def test_official_scores_of_recorded_walks(tau2_data: Path, tau2_traces: Path) -> None:
    environment = Tau2Telecom(source="benchmark", data=str(tau2_data), split="all", scoring="benchmark")
    walks = [json.loads(line) for line in (tau2_traces / "vectors.jsonl").read_text(encoding="utf-8").splitlines()]
    known = [walk for walk in walks if walk["task_id"] in environment.tasks]
    assert len(known) > 20
    for walk in known:
        episode = Episode(environment, environment.tasks.by_id(walk["task_id"]))
        assert isinstance(episode.world, TelecomWorld)
        for number, step in enumerate(walk["steps"]):
            requestor, name, arguments = step["call"]
            episode.world.call_unchecked(requestor, name, arguments)
            if name == "transfer_to_human_agents":
                episode.step(message_of(number, (name, arguments)))
        episode.step(message_of(999, "done"))
        assert episode.score().value == walk["reward_if_stopped_now"], walk["task_id"]


# --- strict: right ways


def ways_to_settle(task: Task) -> list[Step]:
    return [line_details(task), bills(task), request(task), "check_payment_request", "make_payment"]


PIN = task_of("service_issue", "lock_sim_card_pin", "unseat_sim_card")
CONTRACT = task_of("service_issue", "contract_end_suspension", "airplane_mode_on")
BILL = task_of("service_issue", "overdue_bill_suspension")
USED_UP = next(
    each
    for seed in range(50)
    if case_of(each := task_of("mobile_data_issue", "data_usage_exceeded", seed=seed)).agreed_gb == 2.0
)
SLOW = task_of("mms_issue", "bad_network_preference")
VPN = task_of("mobile_data_issue", "bad_vpn")
ABROAD = task_of("mobile_data_issue", "user_abroad_roaming_disabled_on")
NO_REFUEL = task_of("mobile_data_issue", "data_usage_exceeded_no_refuel", "data_mode_off")


def refuel(task: Task, amount: float) -> Step:
    return "refuel_data", own(task) | {"gb_amount": amount}


RIGHT: list[tuple[str, Task, list[Step]]] = [
    (
        "apn reset for certain",
        task_of("service_issue", "unseat_sim_card"),
        ["reseat_sim_card", *RESET, "check_status_bar"],
    ),
    ("apn by hand", task_of("mms_issue", "break_apn_mms_setting"), [("set_apn_settings", {"apn_settings": {}})]),
    ("a reset never made effective", VPN, ["reset_apn_settings", "disconnect_vpn"]),
    ("toggle, look, toggle back", VPN, ["toggle_data", "toggle_data", "disconnect_vpn"]),
    ("vpn by airplane mode", VPN, ["toggle_airplane_mode", "toggle_airplane_mode"]),
    ("3g will do for mms", SLOW, [("set_network_mode_preference", {"mode": "3g_only"})]),
    ("4g will do for mms", SLOW, [("set_network_mode_preference", {"mode": "4g_only"})]),
    ("refuel in two parts", USED_UP, [("get_data_usage", own(USED_UP)), refuel(USED_UP, 1), refuel(USED_UP, 1.0)]),
    ("bill, then line", BILL, [*ways_to_settle(BILL), ("resume_line", own(BILL)), "reboot_device"]),
    ("search by other means", BILL, [*ways_to_settle(BILL), ("resume_line", own(BILL)), "toggle_data", "toggle_data"]),
    (
        "bill by its id",
        BILL,
        [
            line_details(BILL),
            ("get_details_by_id", {"id": case_of(BILL).subject.bill_id}),
            request(BILL),
            "make_payment",
            ("resume_line", own(BILL)),
            "reboot_device",
        ],
    ),
    ("roaming twice", ABROAD, [("enable_roaming", own(ABROAD)), ("enable_roaming", own(ABROAD))]),
    ("roaming of the line off and on", ABROAD, [("enable_roaming", own(ABROAD)), "reboot_device"]),
    ("pin seen on the status page", PIN, ["reseat_sim_card", "check_network_status", TRANSFER]),
    ("pin, with everything else repaired", PIN, ["reseat_sim_card", *RESET, "check_sim_status", TRANSFER]),
    ("contract read", CONTRACT, [line_details(CONTRACT), TRANSFER]),
    ("contract, bill paid all the same", CONTRACT, ["toggle_airplane_mode", *ways_to_settle(CONTRACT), TRANSFER]),
    ("usage read", NO_REFUEL, [("get_data_usage", own(NO_REFUEL)), TRANSFER]),
    (
        "usage by line and plan",
        NO_REFUEL,
        [
            "toggle_data",
            line_details(NO_REFUEL),
            ("get_details_by_id", {"id": case_of(NO_REFUEL).initial.lines[own(NO_REFUEL)["line_id"]].plan_id}),
            TRANSFER,
        ],
    ),
]


@pytest.mark.parametrize("record", [True, False], ids=["recorded", "replayed"])
@pytest.mark.parametrize(("task", "steps"), [item[1:] for item in RIGHT], ids=[item[0] for item in RIGHT])
def test_right_ways(task: Task, steps: list[Step], record: bool) -> None:
    given = score(task, *steps, record=record)
    assert given.value == 1.0, given.reasons
    assert given.components["collateral"] == given.components["policy"] == 1.0


def test_identification_by_other_means() -> None:
    task = task_of("service_issue", "airplane_mode_on")
    customer = case_of(task).initial.customers[case_of(task).subject.customer_id]
    by_name = {"full_name": customer.full_name.upper(), "dob": customer.date_of_birth}
    for step in (
        ("get_customer_by_id", {"customer_id": customer.customer_id}),
        ("get_customer_by_name", by_name),
        ("get_details_by_id", {"id": customer.customer_id}),
    ):
        assert play(task, step, "toggle_airplane_mode", "done").score().success


# --- strict: wrong ways

AIRPLANE = task_of("service_issue", "airplane_mode_on")
FIX: Step = "toggle_airplane_mode"


def paid_bill(task: Task) -> str:
    case = case_of(task)
    return next(
        bill_id
        for bill_id in case.initial.customers[case.subject.customer_id].bill_ids
        if case.initial.bills[bill_id].status == "Paid"
    )


WRONG: list[tuple[str, Task, list[Step], str]] = [
    (
        "suspends and resumes",
        AIRPLANE,
        [("suspend_line", own(AIRPLANE) | {"reason": "x"}), ("resume_line", own(AIRPLANE)), FIX],
        "no_suspension",
    ),
    ("unread bill", BILL, [line_details(BILL), request(BILL), "make_payment"], "verify_overdue_before_request"),
    ("paid bill", BILL, [bills(BILL), request(BILL, paid_bill(BILL)), "make_payment"], "verify_overdue_before_request"),
    ("resumes unpaid", BILL, [line_details(BILL), ("resume_line", own(BILL))], "resume_only_when_settled"),
    (
        "resumes unread",
        BILL,
        [bills(BILL), request(BILL), "make_payment", ("resume_line", own(BILL)), "reboot_device"],
        "resume_only_when_settled",
    ),
    (
        "resumes after the contract",
        CONTRACT,
        [*ways_to_settle(CONTRACT), ("resume_line", own(CONTRACT)), TRANSFER],
        "resume_only_when_settled",
    ),
    ("unread usage", USED_UP, [refuel(USED_UP, 2.0)], "refuel_only_when_used_up"),
    ("data left", VPN, [("get_data_usage", own(VPN)), refuel(VPN, 0.5), "disconnect_vpn"], "refuel_only_when_used_up"),
    ("too much data", USED_UP, [("get_data_usage", own(USED_UP)), refuel(USED_UP, 2.5)], "refuel_within_limit"),
    ("unagreed data", USED_UP, [("get_data_usage", own(USED_UP)), refuel(USED_UP, 2.5)], "refuel_with_permission"),
    ("hands over at once", AIRPLANE, [TRANSFER, FIX], "transfer_only_when_needed"),
    ("hands over unexamined", PIN, [TRANSFER], "find_cause_before_transfer"),
    ("looks at an unseated card", PIN, ["check_sim_status", TRANSFER], "find_cause_before_transfer"),
    ("examines too late", PIN, [TRANSFER, "reseat_sim_card", "check_sim_status"], "find_cause_before_transfer"),
    ("does not hand over", PIN, ["reseat_sim_card", "check_sim_status"], "transfer_when_needed"),
    (
        "hands over in vain",
        PIN,
        ["reseat_sim_card", "check_sim_status", ("transfer_to_human_agents", {})],
        "transfer_when_needed",
    ),
]


@pytest.mark.parametrize("record", [True, False], ids=["recorded", "replayed"])
@pytest.mark.parametrize(("task", "steps", "rule"), [item[1:] for item in WRONG], ids=[item[0] for item in WRONG])
def test_wrong_ways(task: Task, steps: list[Step], rule: str, record: bool) -> None:
    given = score(task, *steps, record=record)
    assert given.value == 0.0
    assert rule in broken(given), given.reasons
    assert any(reason.startswith(f"{rule}: ") for reason in given.reasons)


def test_roaming_at_home() -> None:
    task = next(
        each
        for seed in range(50)
        if not case_of(each := task_of("service_issue", "airplane_mode_on", seed=seed))
        .initial.lines[own(each)["line_id"]]
        .roaming_enabled
    )
    given = score(task, ("enable_roaming", own(task)), FIX)
    assert broken(given) == {"roaming_only_abroad"} and given.components["collateral"] == 0.0
    taken_back = score(task, ("enable_roaming", own(task)), ("disable_roaming", own(task)), FIX)
    assert taken_back.components["collateral"] == 1.0 and taken_back.value == 0.0


def test_anonymous_work() -> None:
    assert broken(play(AIRPLANE, FIX, "done").score()) == {"identify_customer_first"}
    stranger = other_account(AIRPLANE)[0]["customer_id"]
    wrong = play(AIRPLANE, ("get_customer_by_id", {"customer_id": stranger}), FIX, "done").score()
    assert broken(wrong) == {"identify_customer_first"}
    late = play(AIRPLANE, FIX, identify(AIRPLANE), "done").score()
    assert broken(late) == {"identify_customer_first"}


def test_another_account() -> None:
    stranger, _ = other_account(AIRPLANE)
    given = score(AIRPLANE, ("suspend_line", stranger | {"reason": "x"}), FIX)
    assert {"no_suspension", "own_line_only"} <= broken(given)
    assert any(
        f"lines.{stranger['line_id']}.status went from 'Active' to 'Suspended'" in each for each in given.reasons
    )


def test_a_refused_attempt_breaks_nothing() -> None:
    stranger, _ = other_account(AIRPLANE)
    mixed = own(AIRPLANE) | {"line_id": stranger["line_id"], "reason": "x"}
    assert score(AIRPLANE, ("suspend_line", mixed), FIX).value == 1.0


def test_several_calls_at_once() -> None:
    episode = begin(AIRPLANE)
    episode.step(message_of(0, identify(AIRPLANE), FIX))
    episode.step(message_of(1, "done"))
    assert broken(episode.score()) == {"one_call_at_a_time"}


def test_thoughts_and_text_beside_a_call_are_no_matter_when_alone() -> None:
    episode = begin(AIRPLANE)
    for step in (identify(AIRPLANE), FIX, "done"):
        message = message_of(len(episode.calls), step)
        episode.step(message.model_copy(update={"content": "Now I do this."}))
    assert episode.score().success


LEFTOVERS: list[tuple[str, Task, list[Step], str]] = [
    ("roaming of the phone", AIRPLANE, ["toggle_roaming"], "phone.roaming_enabled"),
    ("data off", AIRPLANE, ["toggle_data"], "phone.data_enabled"),
    ("data saver", AIRPLANE, ["toggle_data_saver_mode"], "phone.data_saver_mode"),
    ("wi-fi calling", AIRPLANE, ["toggle_wifi_calling"], "phone.wifi_calling_enabled"),
    ("vpn", AIRPLANE, ["connect_vpn"], "phone.vpn_connected"),
    ("permission", AIRPLANE, [("grant_app_permission", {"app_name": "messaging", "permission": "network"})], "network"),
    ("mode", AIRPLANE, [("set_network_mode_preference", {"mode": "4g_only"})], "phone.network_mode_preference"),
    ("empty mmsc", AIRPLANE, [("set_apn_settings", {"apn_settings": {"mmsc_url": ""}})], "mmsc_url"),
    ("request left open", CONTRACT, [line_details(CONTRACT), bills(CONTRACT), request(CONTRACT), TRANSFER], "bills."),
]


@pytest.mark.parametrize(
    ("task", "steps", "path"), [item[1:] for item in LEFTOVERS], ids=[item[0] for item in LEFTOVERS]
)
def test_collateral_damage(task: Task, steps: list[Step], path: str) -> None:
    given = score(task, *([FIX, *steps] if task is AIRPLANE else steps))
    assert given.value == 0.0 and given.components["collateral"] == 0.0
    assert any(reason.startswith("collateral damage: ") and path in reason for reason in given.reasons)


def test_a_failed_episode_still_tells_what_was_wrong() -> None:
    given = score(AIRPLANE, TRANSFER)
    assert given.value == 0.0 and given.components["assertions"] == 0.0
    assert broken(given) == {"transfer_only_when_needed"}


def test_every_rule_can_be_broken_and_is_explained() -> None:
    provoked = {rule for *_, rule in WRONG} | {
        *("identify_customer_first", "one_call_at_a_time", "own_line_only", "roaming_only_abroad"),
        "no_text_with_calls",
    }
    assert provoked == set(RULES)


class _SilentUser(User):
    def respond(self, incoming: Sequence[Message]) -> Message:
        return Message(role="user", content="Hm.")

    def fork(self) -> Self:
        return self


def test_dual_mode_keeps_text_and_calls_apart() -> None:
    environment = Tau2Telecom(count=0, mode="dual")
    message = message_of(0, identify(AIRPLANE)).model_copy(update={"content": "<think>hm</think>One moment."})
    silent = message.model_copy(update={"content": "<think>hm</think>"})
    for sent, rules in ((message, {"no_text_with_calls"}), (silent, set())):
        episode = Episode(environment, AIRPLANE, user=_SilentUser())
        episode.step(sent)
        assert broken(episode.score()) == rules


def test_what_the_user_sees_on_the_phone_counts_as_found() -> None:
    environment = Tau2Telecom(count=0, mode="dual")
    locked = task_of("service_issue", "lock_sim_card_pin")
    for looks, rules in ((True, set()), (False, {"find_cause_before_transfer"})):
        episode = Episode(environment, locked, user=_LookingUser(looks))
        episode.step(message_of(0, identify(locked)))
        episode.step("Please look at the SIM card.")
        episode.step(message_of(1, TRANSFER))
        episode.step("You are being transferred.")
        assert episode.end is EndReason.USER_STOP
        assert broken(episode.score()) == rules


class _LookingUser(_SilentUser):
    """Looks at the SIM card once, if at all, and stops when transferred."""

    def __init__(self, looks: bool) -> None:
        self.looks = looks

    def respond(self, incoming: Sequence[Message]) -> Message:
        text = incoming[-1].content or ""
        if "transferred" in text:
            return Message(role="user", content="###TRANSFER###")
        if "SIM card" in text and incoming[-1].role == "assistant" and self.looks:
            call = ToolCall(id="u", name="check_sim_status", requestor="user")
            return Message(role="user", tool_calls=(call,))
        return Message(role="user", content="Hm.")


ALL = [each for family in FAMILIES for each in compositions(family)]
VALUES = st.sampled_from(["C", "L", "B", "other C", "other L", "messaging", "sms", "4g_only", 1, 2.0, "x"])


def _concrete(task: Task, value: Any) -> Any:
    subject, (stranger, _) = case_of(task).subject, other_account(task)
    known = {
        "C": subject.customer_id,
        "L": subject.line_id,
        "B": subject.bill_id or paid_bill(task),
        "other C": stranger["customer_id"],
        "other L": stranger["line_id"],
    }
    return known.get(value, value) if isinstance(value, str) else value


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(ALL), st.lists(st.tuples(st.integers(0, 42), st.lists(VALUES, max_size=3)), max_size=12))
def test_any_play_has_one_score_recorded_or_not(composition: Composition, draws: list[tuple[int, list[Any]]]) -> None:
    """Whatever is called, scoring copes, agrees with itself, and never gives more than the official rule."""
    task = make_task(composition)
    tools = list(ENVIRONMENT.toolkit(task))
    steps: list[Step] = []
    for index, values in draws:
        names = list(tools[index].parameters["properties"])
        steps.append((tools[index].name, {n: _concrete(task, v) for n, v in zip(names, values, strict=False)}))
    recorded, replayed = (score(task, *steps, record=record) for record in (True, False))
    assert recorded == replayed
    assert recorded.value in (0.0, 1.0)
    assert recorded.value == 0.0 or official(task, identify(task), *steps, "done").value == 1.0
