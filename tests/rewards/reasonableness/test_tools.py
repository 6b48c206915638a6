"""The shared tools of auditors: facts and their origins, order, elimination, hypotheses, recovery, form."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.episode import CallRecord, Episode
from telegym.core.errors import ConfigurationError
from telegym.core.messages import ToolCall
from telegym.core.tool import CallError
from telegym.rewards.reasonableness import auditor_for, has_auditor, register_auditor
from telegym.rewards.reasonableness.calls import agent_calls, changed, state_versions
from telegym.rewards.reasonableness.elimination import eliminate, replay_without
from telegym.rewards.reasonableness.hypotheses import Hypotheses
from telegym.rewards.reasonableness.ordering import Constraint, Event, Order
from telegym.rewards.reasonableness.provenance import Facts, Ground, Pattern
from telegym.rewards.reasonableness.recovery import identical, recoveries, repeats
from telegym.rewards.reasonableness.schema import formality
from tests.envs.tau2_telecom.playing import begin, identify, own, play, task_of


def record(name: str, error: CallError | None = None, content: str = "ok", **arguments: object) -> CallRecord:
    call = ToolCall(id="1", name=name, arguments=dict(arguments))
    return CallRecord(0, 1, call, content, error, 0.0, None, None)


# --- facts ------------------------------------------------------------------------------------------


def nowhere(kind: str, value: object) -> bool:
    return False


def facts() -> Facts:
    patterns = (Pattern("cell", r"\bS\d+\b"), Pattern("number", r"\b\d+(?:\.\d+)?\b"))
    return Facts(patterns, {"number": lambda value, known: any(value == -other for other in known.of_kind("number"))})


def test_a_fact_keeps_the_place_where_it_first_became_known() -> None:
    known = facts()
    known.read("cell S12 is down", "task")
    known.read("S12 carries 3.5 users, S13 none", "get_cell", 4)
    found = known.ground("cell", "S12", "cell", nowhere)
    assert found.ground is Ground.KNOWN and found.origin == ("task", -1)
    assert known.origin("cell", "S13") == ("get_cell", 4)
    assert "was known from get_cell" in known.ground("cell", "S13", "cell", nowhere).sentence()


def test_what_exists_unseen_is_lucky_and_what_exists_nowhere_invented() -> None:
    known = facts()
    lucky = known.ground("cell", "S14", "cell", lambda kind, value: value == "S14")
    invented = known.ground("cell", "S99", "cell", nowhere)
    assert (lucky.ground, invented.ground) == (Ground.LUCKY, Ground.INVENTED)
    assert not lucky.grounded and "never been shown" in lucky.sentence() and "nowhere" in invented.sentence()


def test_the_kind_counts_and_numbers_may_be_derived() -> None:
    known = facts()
    known.read("S12 takes 4 of 7.0 W", "task")
    assert known.ground("site", "S12", "site", nowhere).ground is Ground.INVENTED
    assert known.ground("power", 7, "number", nowhere).ground is Ground.KNOWN
    assert known.ground("power", -4, "number", nowhere).ground is Ground.DERIVED
    assert known.ground("power", True, "number", nowhere).ground is Ground.INVENTED
    assert known.ground("cells", ["S12"], "cell", nowhere).ground is Ground.INVENTED


# --- order ------------------------------------------------------------------------------------------

_CONSTRAINTS = (
    Constraint("identify", "act", "nobody was identified"),
    Constraint("diagnose", "repair", "{target} was not looked at"),
    Constraint("verify", "close", "not tested", since="repair", same_target=False),
)


def test_constraints_are_kept_by_target() -> None:
    order = Order(_CONSTRAINTS)
    order.happened([Event("diagnose", "fan")])
    assert order.judge([Event("repair", "fan")]) == (1, [])
    applicable, violations = order.judge([Event("repair", "clock"), Event("act")])
    assert applicable == 2
    assert [violation.sentence() for violation in violations] == ["clock was not looked at", "nobody was identified"]


def test_a_test_counts_only_after_the_last_repair() -> None:
    order = Order(_CONSTRAINTS)
    order.happened([Event("verify")])
    assert not order.judge([Event("close")])[1]
    order.happened([Event("repair", "fan")])
    assert len(order.judge([Event("close")])[1]) == 1
    order.happened([Event("verify")])
    assert not order.judge([Event("close")])[1]


# --- elimination ------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(st.lists(st.sampled_from("abc"), max_size=10), st.sets(st.sampled_from("abc")))
def test_elimination_keeps_the_first_of_duplicates_and_nothing_idle(calls: list[str], goal: set[str]) -> None:
    def suffices(dropped: frozenset[int]) -> bool:
        return goal <= {call for place, call in enumerate(calls) if place not in dropped} or not goal <= set(calls)

    found = eliminate(range(len(calls)), suffices)
    if goal <= set(calls):
        assert found.needed == {calls.index(each) for each in goal}
    assert found.needed | found.idle == set(range(len(calls))) and not found.untried
    assert found.forks == len(calls)


def test_elimination_stops_at_its_limit() -> None:
    found = eliminate(range(10), lambda dropped: True, most_forks=3)
    assert found.forks == 3 and found.idle == {7, 8, 9} and found.untried == set(range(7))


def test_an_episode_is_played_again_without_a_call() -> None:
    task = task_of("mobile_data_issue", "data_mode_off", "data_saver_mode_on")
    episode = play(task, identify(task), "toggle_data", "toggle_data_saver_mode")
    assert replay_without(episode, frozenset()).state_hash() == episode.world.state_hash()
    without = replay_without(episode, frozenset({1})).dump()["user"]["device"]
    assert not without["data_enabled"] and not without["data_saver_mode"]
    assert replay_without(episode, frozenset({1, 2})).state_hash() == begin(task).world.state_hash()


# --- hypotheses -------------------------------------------------------------------------------------


def test_observations_rule_hypotheses_out() -> None:
    found = Hypotheses(8)
    assert found.entropy == 3 and found.observe(0b1111) and not found.observe(0b1111)
    assert found.probability(0b0001) == 0.25 and found.possible(0b1000) and not found.settled(0b0001)
    assert found.observe(0b0001) and found.certain(0b0011) and found.settled(0b0011) and found.settled(0b1100)


def test_a_surprise_is_counted_and_what_was_learnt_dropped() -> None:
    found = Hypotheses(4)
    found.observe(0b0001)
    assert found.observe(0b1000) and found.alive == 0b1000 and found.surprises == 1
    assert found.observe(0) and found.alive == 0b1111 and found.surprises == 2


# --- recovery and form ------------------------------------------------------------------------------


def test_the_same_call_after_an_error_is_no_recovery() -> None:
    failed = record("check", CallError.REFUSED, id="1")
    calls = [failed, record("check", CallError.REFUSED, id="1"), record("check", None, id="2"), record("other")]
    assert recoveries(calls) == [None, 0.0, 1.0, None]


def test_errors_of_form_have_to_be_mended() -> None:
    calls = [record("chek", CallError.UNKNOWN_TOOL), record("chck", CallError.UNKNOWN_TOOL), record("check")]
    assert recoveries(calls) == [None, 0.0, 1.0]


def test_a_read_repeats_another_only_at_the_same_state() -> None:
    calls = [record("check"), record("check"), record("set", mode="a"), record("check"), record("check", id="1")]
    assert repeats(calls, [0, 0, 0, 1, 1]) == [None, 0, None, None, None]
    assert identical(ToolCall(id="1", name="a", arguments={"x": 1, "y": 2}), calls[0].call) is False


@pytest.mark.parametrize("error", list(CallError))
def test_form_follows_from_the_error(error: CallError) -> None:
    value, evidence = formality(record("check", error, "Error: no"))
    if error is CallError.DROPPED:
        assert value is None
    elif error in (CallError.REFUSED, CallError.INTERNAL):
        assert value == 1
    else:
        assert value == 0 and evidence.endswith(": no")


def test_states_are_numbered_by_what_changed() -> None:
    task = task_of("mobile_data_issue", "data_mode_off")
    episode: Episode = play(task, identify(task), "check_status_bar", "toggle_data", "check_status_bar")
    kinds = [tool.kind if (tool := episode.toolkit.get(each.call.name)) else None for each in episode.calls]
    assert state_versions(episode.calls, kinds) == [0, 0, 0, 1]
    assert [changed(each) for each in agent_calls(episode)] == [False, False, True, False]
    assert own(task)["line_id"]


# --- auditors by name -------------------------------------------------------------------------------


def test_auditors_are_found_by_environment() -> None:
    assert has_auditor("tau2-telecom") and auditor_for("tau2-telecom").environment == "tau2-telecom"
    with pytest.raises(ConfigurationError, match="Did you mean 'tau2-telecom'"):
        auditor_for("tau2-telcom")
    with pytest.raises(ConfigurationError, match="has an auditor already"):
        register_auditor("tau2-telecom", "somewhere:Else")
    with pytest.raises(ConfigurationError, match=r"package\.module:Class"):
        register_auditor("nowhere", "somewhere")


def test_an_auditor_refuses_episodes_of_other_environments() -> None:
    task = task_of("mobile_data_issue", "data_mode_off")
    with pytest.raises(ConfigurationError, match="cannot judge an episode of 'tau2-telecom'"):
        type("Other", (type(auditor_for("tau2-telecom")),), {"environment": "other"})().audit(begin(task))
