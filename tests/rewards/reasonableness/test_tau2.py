"""The auditor of tau2 telecom: right ways are right in both views, each fault is found where it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telegym.agents.random import RandomAgent
from telegym.core.episode import Episode
from telegym.core.messages import Message, ToolCall
from telegym.envs.tau2_telecom.environment import Tau2Telecom
from telegym.envs.tau2_telecom.scenario import Family
from telegym.envs.tau2_telecom.world import TelecomWorld
from telegym.rewards.reasonableness import Audit, auditor_for, quality
from telegym.rewards.reasonableness.hypotheses import Hypotheses
from telegym.rewards.reasonableness.tau2.beliefs import beliefs, truth
from telegym.rewards.reasonableness.tau2.claims import Claims
from telegym.rewards.reasonableness.tau2.reference import Reference
from telegym.rewards.verdict import Check, Code, View
from tests.envs.tau2_telecom.playing import ENVIRONMENT, Step, case_of, identify, own, play, task_of

AUDITOR = auditor_for("tau2-telecom")
VIEWS = list(View)


def blamed(audit: Audit) -> dict[int, Code | None]:
    return {verdict.index: verdict.code for verdict in audit.verdicts if not verdict.reasonable}


def audit(episode: Episode, view: View = View.ORACLE, **options: Any) -> Audit:
    return AUDITOR.audit(episode, view, **options)


# --- right ways ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("mode", "count"), [("solo", 25), ("dual", 5)])
def test_everything_the_expert_does_is_reasonable(mode: Any, count: int, view: View) -> None:
    environment = Tau2Telecom(mode=mode, count=count, split="test", seed=3)
    for task in environment.tasks:
        episode = Episode(environment, task)
        while not episode.done:
            episode.step(environment.expert(episode))
        found = audit(episode, view)
        assert not blamed(found), (task.id, blamed(found))
        assert found.values["completion"] == found.values["efficiency"] == 1 and not found.unsafe
        assert found.counters["surprises"] == 0


@pytest.mark.parametrize("policy", ["manual", "workflow"])
def test_many_ways_are_reasonable(policy: Any) -> None:
    environment = Tau2Telecom(count=15, split="dev", policy=policy)
    ways = set()
    for index, task in enumerate(environment.tasks):
        for variant in range(3):
            episode, player = Episode(environment, task), Reference(f"{variant}")
            while not episode.done:
                episode.step(player.act(episode))
            assert episode.score().success, task.id
            for view in VIEWS:
                assert not blamed(audit(episode, view)), task.id
            ways.add((index, tuple(record.call.name for record in episode.calls)))
    assert len(ways) > 35


def test_a_clairvoyant_guesses_but_does_no_harm() -> None:
    """The oracle that knows the faults looks at nothing: that is all it can be blamed for."""
    environment = Tau2Telecom(count=20)
    codes = set()
    for task in environment.tasks:
        episode = Episode(environment, task)
        while (message := environment.hint(episode)) is not None:
            episode.step(message)
        found = audit(episode)
        codes |= set(blamed(found).values())
        assert not found.unsafe
    assert codes == {Code.ORDER, Code.PREMATURE}


def test_verdicts_do_not_depend_on_what_was_recorded() -> None:
    task = task_of("mms_issue", "bad_wifi_calling", "break_app_sms_permission")
    steps: tuple[Step, ...] = (identify(task), "check_network_status", "toggle_wifi_calling", "can_send_mms", "done")
    recorded, bare = play(task, *steps), play(task, *steps, record=False)
    assert audit(recorded).verdicts == audit(bare).verdicts


def test_an_audit_changes_nothing() -> None:
    task = task_of("mobile_data_issue", "data_mode_off", "bad_vpn")
    episode = play(task, identify(task), "toggle_data", "toggle_data", "toggle_data", "connect_vpn", "done")
    before = episode.trajectory().to_json()
    audit(episode)
    assert episode.trajectory().to_json() == before


# --- each fault in its place ----------------------------------------------------------------------------

Fault = tuple[Family, str]
DATA: Fault = ("mobile_data_issue", "data_mode_off")
SERVICE: Fault = ("service_issue", "overdue_bill_suspension")
USED_UP: Fault = ("mobile_data_issue", "data_usage_exceeded")


def after(fault: Fault, *steps: Step) -> tuple[Audit, Audit]:
    """Identify, take the steps, and return what both views say of the last."""
    task = task_of(*fault)
    episode = play(task, identify(task), *steps)
    return audit(episode, View.ORACLE), audit(episode, View.OBSERVABLE)


def last(audits: tuple[Audit, Audit]) -> set[Code | None]:
    return {each.verdicts[-1].code for each in audits}


def test_a_switch_nobody_looked_at() -> None:
    assert last(after(DATA, "toggle_data")) == {Code.ORDER}


def test_a_switch_that_was_right() -> None:
    assert last(after(DATA, "check_network_status", "toggle_airplane_mode")) == {Code.WRONG_CAUSE}


def test_what_was_spoilt_may_be_put_right() -> None:
    audits = after(DATA, "check_network_status", "toggle_airplane_mode", "toggle_airplane_mode")
    assert last(audits) == {None}


def test_guessing_at_the_cause_is_seen_differently_from_both_views() -> None:
    """The cause is there, which the agent cannot know: true for the oracle, half likely for an observer."""
    oracle, observer = after(DATA, "toggle_data")
    assert oracle.verdicts[-1].checks[Check.PRECONDITION] == 1
    wrong = after(DATA, "toggle_airplane_mode")
    assert wrong[0].verdicts[-1].code is Code.WRONG_CAUSE and wrong[1].verdicts[-1].code is Code.ORDER
    assert observer.verdicts[-1].checks[Check.ORDERING] == 0


def test_a_read_that_tells_nothing() -> None:
    for name in ("check_installed_apps", "check_wifi_status"):
        assert last(after(DATA, name)) == {Code.REDUNDANT}
    assert last(after(DATA, "check_network_status", "check_network_status")) == {Code.REDUNDANT}
    assert last(after(DATA, "check_network_status", "toggle_data", "check_network_status")) == {None}


def test_a_payment_may_be_asked_for_only_after_the_bill_was_read() -> None:
    task = task_of(*SERVICE)
    subject = case_of(task).subject
    ask = "send_payment_request", {"customer_id": subject.customer_id, "bill_id": subject.bill_id}
    read = "get_details_by_id", {"id": subject.bill_id}
    line = "get_details_by_id", {"id": subject.line_id}
    assert last(after(SERVICE, line, ask)) == {Code.ORDER}
    assert last(after(SERVICE, line, read, ask)) == {None}
    assert last(after(SERVICE, line, read, ask, "make_payment", ("resume_line", own(task)))) == {Code.ORDER}
    assert last(after(SERVICE, line, read, ask, "make_payment", read, ("resume_line", own(task)))) == {None}
    assert last(after(SERVICE, line, read, ("resume_line", own(task)))) == {Code.POLICY}


def test_a_bill_that_is_not_overdue_may_not_be_asked_for() -> None:
    task = task_of(*DATA)
    bill_id = case_of(task).initial.customers[own(task)["customer_id"]].bill_ids[0]
    ask = "send_payment_request", {"customer_id": own(task)["customer_id"], "bill_id": bill_id}
    audits = after(DATA, ask)
    assert last(audits) == {Code.UNSAFE} and all(each.unsafe for each in audits)


@pytest.mark.parametrize(("amount", "code"), [(None, None), (2.5, Code.UNSAFE), (50, Code.UNSAFE)])
def test_data_is_sold_as_agreed(amount: float | None, code: Code | None) -> None:
    task = task_of(*USED_UP)
    agreed = case_of(task).agreed_gb
    refuel = "refuel_data", own(task) | {"gb_amount": agreed if amount is None else amount}
    usage = "get_data_usage", own(task)
    found = last(after(USED_UP, usage, refuel))
    assert found == {code} or (code is not None and found == {Code.UNGROUNDED})
    if code is None:
        assert last(after(USED_UP, refuel)) == {Code.ORDER}
    else:
        assert all(each.unsafe for each in after(USED_UP, usage, refuel))


def test_data_is_not_sold_to_those_who_have_some() -> None:
    task = task_of(*DATA)
    sell = "refuel_data", own(task) | {"gb_amount": case_of(task).agreed_gb}
    assert last(after(DATA, ("get_data_usage", own(task)), sell)) == {Code.UNSAFE}


def test_a_line_whose_contract_ended_stays_suspended() -> None:
    fault: Fault = ("service_issue", "contract_end_suspension")
    line = "get_details_by_id", {"id": own(task_of(*fault))["line_id"]}
    assert last(after(fault, line, ("resume_line", own(task_of(*fault))))) == {Code.UNSAFE}
    assert last(after(fault, line, ("transfer_to_human_agents", {"summary": "The contract has ended."}))) == {None}
    lie = "transfer_to_human_agents", {"summary": "The SIM card is locked."}
    assert last(after(fault, line, lie)) == {Code.CLAIM}
    assert last(after(fault, ("transfer_to_human_agents", {"summary": "Please take over."}))) == {Code.ORDER}


def test_a_case_that_can_be_solved_is_not_handed_over() -> None:
    give_up = "transfer_to_human_agents", {"summary": "Please take over."}
    assert Code.PREMATURE in last(after(DATA, "check_network_status", give_up))


def test_nobody_else_is_touched() -> None:
    task = task_of(*DATA)
    others = [each for each in case_of(task).initial.lines if each != own(task)["line_id"]]
    suspend = "suspend_line", own(task) | {"reason": "test"}
    assert last(after(DATA, suspend)) == {Code.UNSAFE}
    read = "get_details_by_id", {"id": others[-1]}
    shown = case_of(task).initial.customers[own(task)["customer_id"]].line_ids
    assert others[-1] in shown or last(after(DATA, read)) == {Code.UNGROUNDED}
    assert last(after(DATA, ("get_details_by_id", {"id": "L0000001"}))) == {Code.UNGROUNDED}


def test_before_identification_nothing_is_changed() -> None:
    task = task_of(*DATA)
    for view in VIEWS:
        assert blamed(audit(play(task, "check_network_status", "toggle_data"), view)) == {1: Code.ORDER}


def test_the_end_has_to_be_earned() -> None:
    assert last(after(DATA, "done")) == {Code.PREMATURE}
    assert last(after(DATA, "check_network_status", "toggle_data", "done")) == {Code.PREMATURE}
    audits = after(DATA, "check_network_status", "toggle_data", "run_speed_test", "done")
    assert last(audits) == {None} and audits[0].values["completion"] == 1
    untested = after(DATA, "check_network_status", "toggle_data", "done")[0]
    assert untested.values["completion"] == 0 and untested.reasons == (
        "nobody tested whether it works since the last change",
    )


def test_one_call_at_a_time() -> None:
    task = task_of(*DATA)
    episode = Episode(ENVIRONMENT, task)
    calls = [
        ToolCall(id="a", name="get_customer_by_phone", arguments={"phone_number": case_of(task).subject.phone_number}),
        ToolCall(id="b", name="check_network_status"),
    ]
    episode.step(Message(role="assistant", tool_calls=tuple(calls)))
    assert blamed(audit(episode)) == {1: Code.POLICY}


def test_the_workflow_prescribes_a_reset_without_a_look() -> None:
    steps: tuple[Step, ...] = ("check_network_status", "check_sim_status", "reset_apn_settings", "reboot_device")
    for policy, expected in (("manual", {3}), ("workflow", set())):
        environment = Tau2Telecom(count=0, policy=policy)  # type: ignore[arg-type]  # one of the two
        task = task_of(*SERVICE)
        episode = Episode(environment, task)
        for number, (name, arguments) in enumerate(
            (each, {}) if isinstance(each, str) else each for each in (identify(task), *steps)
        ):
            call = ToolCall(id=str(number), name=name, arguments=arguments)
            episode.step(Message(role="assistant", tool_calls=(call,)))
        codes = blamed(audit(episode, View.OBSERVABLE))
        assert {index for index, code in codes.items() if code is Code.ORDER} == expected
        assert policy == "manual" or not {3, 4} & codes.keys()


# --- elimination ------------------------------------------------------------------------------------------


def test_only_trials_find_changes_that_make_up_for_each_other() -> None:
    """A mode that is set twice: the first is enough, the second is idle, not both."""
    task = task_of("mms_issue", "bad_network_preference")
    three = "set_network_mode_preference", {"mode": "3g_only"}
    best = "set_network_mode_preference", {"mode": "4g_5g_preferred"}
    episode = play(task, identify(task), "check_network_status", three, best, "can_send_mms", "done")
    assert blamed(audit(episode)) == {3: Code.WRONG_CAUSE}
    assert audit(episode).verdicts[3].checks[Check.NECESSITY] == 0
    assert audit(episode, counterfactual=False).verdicts[3].checks[Check.NECESSITY] == 1
    assert audit(episode).counters["forks"] == 2 and audit(episode, counterfactual=False).counters["forks"] == 0


# --- claims -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("The bill is overdue.", 1.0),
        ("Your bill has been paid.", 0.0),
        ("The bill has not been paid yet.", 1.0),
        ("Your line is active again. Airplane mode is off.", 0.5),
        ("Your line is suspended.", 1.0),
        ("The SIM card is locked.", 0.0),
        ("The contract of your line has ended.", 0.0),
        ("I have added 2 GB to your line.", 0.0),
        ("Everything is working now!", 0.0),
        ("Is the bill paid? Please tell me whether mobile data is off.", None),
        ("Once the bill is paid I will resume the line.", None),
        ("Thank you for your patience.", None),
    ],
)
def test_claims_are_compared_with_the_state(text: str, value: float | None) -> None:
    task = task_of(*SERVICE)
    claims = Claims(case_of(task))
    wrong = claims.hear(text, case_of(task).initial)
    assert claims.value == value and len(wrong) == claims.made - claims.true


def test_what_is_said_to_the_user_counts() -> None:
    environment = Tau2Telecom(mode="dual", count=5)
    episode = Episode(environment, environment.tasks[3])
    episode.step(Message(role="assistant", content="Your SIM card is locked."))
    found = audit(episode)
    assert found.values["claims"] == 0 and "not true (SIM card)" in found.reasons[0] and found.verdicts == ()


def test_closing_words_count_where_nobody_listens_too() -> None:
    episode = Episode(ENVIRONMENT, task_of(*DATA))
    episode.step("The problem is solved, everything works again.")
    found = audit(episode)
    assert found.values["claims"] == 0 and quality(found) == 0 and len(found.reasons) == 2


# --- beliefs --------------------------------------------------------------------------------------------------

MOVES: list[tuple[str, dict[str, Any]]] = [
    ("toggle_airplane_mode", {}),
    ("toggle_data", {}),
    ("toggle_roaming", {}),
    ("toggle_data_saver_mode", {}),
    ("toggle_wifi_calling", {}),
    ("reseat_sim_card", {}),
    ("reset_apn_settings", {}),
    ("reboot_device", {}),
    ("disconnect_vpn", {}),
    ("set_apn_settings", {"apn_settings": {}}),
    ("set_apn_settings", {"apn_settings": {"mmsc_url": None}}),
    *(("set_network_mode_preference", {"mode": mode}) for mode in ("4g_5g_preferred", "4g_only", "3g_only", "2g_only")),
    *(("grant_app_permission", {"app_name": "messaging", "permission": name}) for name in ("sms", "storage")),
    ("own", {"name": "enable_roaming"}),
    ("own", {"name": "disable_roaming"}),
    ("own", {"name": "resume_line"}),
]
FAULTS: list[tuple[Family, tuple[str, ...]]] = [
    ("service_issue", ("airplane_mode_on", "break_apn_settings", "unseat_sim_card")),
    ("service_issue", ("lock_sim_card_pin", "overdue_bill_suspension")),
    ("mobile_data_issue", ("bad_network_preference", "bad_vpn", "data_mode_off", "user_abroad_roaming_disabled_off")),
    ("mobile_data_issue", ("airplane_mode_on", "data_saver_mode_on", "data_usage_exceeded")),
    ("mms_issue", ("bad_wifi_calling", "break_apn_mms_setting", "break_app_both_permissions", "unseat_sim_card")),
    ("mms_issue", ("bad_network_preference", "user_abroad_roaming_enabled_off")),
]
FLAGS = (
    *("airplane", "missing", "locked", "apn", "suspended", "data_off", "roaming_off", "line_roaming_off", "saver"),
    *("slow2", "slow3", "slow4", "vpn_on", "calling", "mmsc", "sms", "storage", "pending"),
    *("connected", "tech2", "tech3", "tech4", "data_works", "excellent", "sends_mms", "goal", "stale"),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(FAULTS), st.lists(st.sampled_from(MOVES), max_size=12), st.integers(0, 5))
def test_hypotheses_move_as_the_world_does(
    fault: tuple[Family, tuple[str, ...]], moves: list[tuple[str, dict[str, Any]]], seed: int
) -> None:
    """The hypothesis that is true stays true whatever is done."""
    task = task_of(fault[0], *fault[1], seed=seed)
    case, episode = case_of(task), Episode(ENVIRONMENT, task)
    believed = beliefs(case.family, case.abroad)
    hypotheses, now = Hypotheses(believed.all.bit_length()), truth(case, case.initial)
    for flag in (*FLAGS, "exceeded"):
        mask = getattr(believed, flag)
        hypotheses.observe(mask if getattr(now, flag) else believed.all & ~mask)
    assert hypotheses.surprises == 0
    for name, arguments in moves:
        if name == "own":
            name, arguments = arguments["name"], own(task)
        step = Message(role="assistant", tool_calls=(ToolCall(id="1", name=name, arguments=arguments),))
        episode.step(step)
        if episode.done:
            break
        if episode.calls[-1].error is not None:
            continue
        assert isinstance(episode.world, TelecomWorld)
        now = truth(case, episode.world.state)
        believed.apply(name, arguments, True, now)
        for flag in FLAGS:
            assert hypotheses.certain(getattr(believed, flag)) == bool(getattr(now, flag)), (name, flag)


# --- whatever an agent does -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["solo", "dual"])
def test_the_auditor_can_judge_anything(mode: Any) -> None:
    environment = Tau2Telecom(mode=mode, count=6)
    for number, task in enumerate(environment.tasks):
        episode, agent = Episode(environment, task), RandomAgent(seed=number, talk=0.2 if mode == "dual" else 0.0)
        while not episode.done and episode.turn < 60:
            action = agent.act([episode])[0]
            assert isinstance(action, Message)
            episode.step(action)
        for view in VIEWS:
            found = audit(episode, view)
            mine = [record.index for record in episode.calls if record.call.requestor == "assistant"]
            assert [verdict.index for verdict in found.verdicts] == mine
            assert all(verdict.evidence for verdict in found.verdicts if verdict.reasonable is False)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("<tool_call>{broken</tool_call>", [Code.SCHEMA]),
        ("", [Code.SCHEMA]),
        ('<tool_call>{"name": "check_status", "arguments": {}}</tool_call>', [Code.SCHEMA]),
        ('<tool_call>{"name": "get_details_by_id", "arguments": {"id": ["L1"]}}</tool_call>', [Code.SCHEMA]),
        ('<tool_call>{"name": "check_status_bar", "arguments": {}}</tool_call>' * 2, [None, Code.POLICY]),
        (
            '<tool_call>{"name": "check_status_bar", "arguments": {}}</tool_call>'
            '<tool_call>{"name": "done", "arguments": {}}</tool_call>',
            [Code.POLICY, Code.POLICY],
        ),
    ],
)
def test_what_cannot_be_executed_is_judged_too(text: str, codes: list[Code | None]) -> None:
    episode = Episode(ENVIRONMENT, task_of(*DATA))
    episode.step(text)
    assert [verdict.code for verdict in audit(episode).verdicts] == codes


def test_tools_of_one_s_own_are_judged_by_form_and_facts() -> None:
    from telegym.core.tool import tool
    from telegym.envs.extended import ExtendedEnvironment

    @tool(kind="write")
    def send_flowers(world: TelecomWorld, customer_id: str) -> str:
        """Send flowers.

        Args:
            customer_id: Who gets them.
        """
        return "Sent."

    task = task_of(*DATA)
    episode = Episode(ExtendedEnvironment(ENVIRONMENT, [send_flowers]), task)
    first = identify(task)
    assert not isinstance(first, str)
    for number, (name, arguments) in enumerate((first, ("send_flowers", {"customer_id": "C0"}))):
        call = ToolCall(id=str(number), name=name, arguments=arguments)
        episode.step(Message(role="assistant", tool_calls=(call,)))
    assert blamed(audit(episode)) == {1: Code.UNGROUNDED}
