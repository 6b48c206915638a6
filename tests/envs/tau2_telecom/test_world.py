from __future__ import annotations

import copy
import hashlib
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telegym.core.errors import TaskError
from telegym.core.messages import ToolCall
from telegym.envs.tau2_telecom.benchmark import Tau2Benchmark
from telegym.envs.tau2_telecom.state import TelecomState
from telegym.envs.tau2_telecom.world import TelecomWorld
from telegym.tools.tau2_telecom import dual_toolkit
from tests.envs.tau2_telecom.small import NUMBER, STATE, Call, agent_records, calls, small_world

some_calls = st.lists(calls, max_size=12)


def play(world: TelecomWorld, script: list[Call]) -> list[tuple[str, bool]]:
    return [world.call_unchecked(*call) for call in script]


def sorted_hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@given(some_calls)
def test_hashes_are_those_of_the_sorted_dump(script: list[Call]) -> None:
    world = small_world()
    play(world, script)
    assert world.state.agent_hash() == sorted_hash(world.agent_dump())
    assert world.state.user_hash() == sorted_hash(world.user_dump())


@given(some_calls)
def test_record_text_is_the_json_of_its_dump(script: list[Call]) -> None:
    world = small_world()
    play(world, script)
    state = world.state
    for record in (*state.lines.values(), *state.bills.values(), *state.customers.values(), state.phone):
        assert record.text() == json.dumps(record.dump())


@given(some_calls, some_calls)
def test_fork_is_independent(before: list[Call], after: list[Call]) -> None:
    world = small_world()
    play(world, before)
    dump, digest = copy.deepcopy(world.dump()), world.state_hash()
    fork = world.fork()
    assert fork.state_hash() == digest
    play(fork, after)
    assert world.dump() == dump
    assert world.state_hash() == digest


@given(some_calls, some_calls)
def test_restore_gives_back_what_snapshot_saw(before: list[Call], after: list[Call]) -> None:
    world = small_world()
    play(world, before)
    world.minutes = 3.0
    snapshot, dump = world.snapshot(), copy.deepcopy(world.dump())
    first = play(world, after)
    world.minutes = 9.0
    world.restore(snapshot)
    assert world.dump() == dump
    assert world.minutes == 3.0
    assert play(world, after) == first


@given(some_calls)
def test_sync_is_idempotent(script: list[Call]) -> None:
    world = small_world()
    play(world, script)
    dump = copy.deepcopy(world.dump())
    world.state = world.state.copy()
    world.state.synced = False
    world.sync()
    assert world.dump() == dump


@given(some_calls, some_calls)
def test_a_world_rebuilt_from_its_dump_behaves_the_same(before: list[Call], after: list[Call]) -> None:
    world = small_world()
    play(world, before)
    dump = world.dump()
    again = TelecomWorld.from_records(dump["agent"], dump["user"])
    assert again.dump() == dump
    assert play(again, after) == play(world, after)
    assert again.dump() == world.dump()


@given(some_calls)
def test_validated_and_unchecked_calls_agree(script: list[Call]) -> None:
    checked, unchecked, toolkit = small_world(), small_world(), dual_toolkit()
    for side, name, arguments in script:
        call = ToolCall(id="1", name=name, arguments=arguments, requestor="user" if side == "user" else "assistant")
        outcome = toolkit.execute(checked, call)
        content, error = unchecked.call_unchecked(side, name, arguments)
        assert (outcome.error is not None) == error
        assert error or outcome.content == content
        assert checked.dump() == unchecked.dump()


def test_a_call_of_the_other_side_is_an_error_and_changes_nothing() -> None:
    world = small_world()
    state = world.state
    assert world.call_unchecked("assistant", "toggle_data", {})[1]
    assert world.call_unchecked("user", "get_customer_by_id", {"customer_id": "C1"})[1]
    assert world.call_unchecked("user", "no_such_tool", {}) == ("Error: Tool 'no_such_tool' not found.", True)
    assert world.state is state


def test_reads_leave_the_very_same_state() -> None:
    world = small_world()
    state = world.state
    for name in ("check_network_status", "run_speed_test", "can_send_mms", "check_payment_request"):
        assert not world.call_unchecked("user", name, {})[1]
    assert world.state is state


def test_setting_the_user_links_the_line() -> None:
    world = small_world(linked=False)
    assert not world.surroundings.roaming_allowed
    world.run("user", "set_user_info", {"name": "Ada Byron", "phone_number": NUMBER})
    assert world.surroundings.roaming_allowed
    assert world.surroundings.line_active


def test_an_unknown_number_is_an_error_at_every_call_and_keeps_their_effect() -> None:
    world = small_world()
    with pytest.raises(TaskError, match="555-999"):
        world.run("user", "set_user_info", {"name": "Nobody", "phone_number": "555-999"})
    assert world.surroundings.phone_number == "555-999"
    assert world.call_unchecked("user", "toggle_data", {})[1]
    assert not world.phone.data_enabled
    with pytest.raises(TaskError, match="555-999"):
        TelecomWorld(world.state)


def test_quota_counts_as_exceeded_when_exactly_used_up() -> None:
    world = small_world()
    for used, exceeded in ((9.99, False), (10.0, True), (10.1, True)):
        world.run("assistant", "set_data_usage", {"customer_id": "C1", "line_id": "L1", "data_used_gb": used})
        assert world.surroundings.mobile_data_usage_exceeded is exceeded


def test_a_payment_settles_one_bill_and_asks_for_no_other() -> None:
    world = small_world()
    assert not world.call_unchecked("assistant", "send_payment_request", {"customer_id": "C1", "bill_id": "B2"})[1]
    request = world.surroundings.payment_request
    assert request is not None
    assert (request.bill_id, request.amount_due) == ("B2", 55.5)
    assert world.call_unchecked("assistant", "send_payment_request", {"customer_id": "C1", "bill_id": "B1"})[1]
    assert world.call_unchecked("user", "make_payment", {}) == ("Paid 55.5 USD for bill B2.", False)
    assert world.state.bills["B2"].status == "Paid"
    assert world.surroundings.payment_request is None


def test_another_customers_request_does_not_reach_the_phone() -> None:
    world = small_world()
    assert not world.call_unchecked("assistant", "send_payment_request", {"customer_id": "C2", "bill_id": "B4"})[1]
    assert world.surroundings.payment_request is None


@given(some_calls, some_calls)
def test_a_pickled_world_behaves_the_same(before: list[Call], after: list[Call]) -> None:
    world = small_world(seed=3)
    world.run("user", "break_vpn", {})
    play(world, before)
    again = pickle.loads(pickle.dumps(world))
    assert again.state_hash() == world.state_hash()
    assert play(again, after) == play(world, after)
    assert again.dump() == world.dump()


def test_invented_bill_ids_depend_on_the_seed_alone() -> None:
    def invented(seed: int) -> str:
        world = small_world(seed)
        arguments = {"customer_id": "C2", "line_id": "L4", "gb_amount": 1.0}
        assert not world.call_unchecked("assistant", "refuel_data", arguments)[1]
        return world.state.customers["C2"].bill_ids[-1]

    assert invented(1) == invented(1) != invented(2)


def test_run_names_the_nearest_function() -> None:
    with pytest.raises(TaskError, match="Did you mean 'turn_data_off'"):
        small_world().run("user", "turn_data_of", {})
    with pytest.raises(TaskError, match="valid sides: user, assistant"):
        small_world().run("usr", "turn_data_off", {})
    with pytest.raises(TaskError, match=r"turn_data_off.*failed"):
        small_world().run("user", "turn_data_off", {"now": True})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["lines"][0].update(colour="red"), "unknown field 'colour'"),
        (lambda r: r["lines"][0].update(sttus="Active"), "Did you mean 'status'"),
        (lambda r: r["lines"][1].pop("phone_number"), r"lines\[1\].*'phone_number' is missing"),
        (lambda r: r["bills"][0].update(status="Open"), r"bills\[0\].*status.*not 'Open'"),
        (lambda r: r["plans"].append(r["plans"][0]), "'P1' occurs twice"),
        (lambda r: r["customers"][0]["address"].update(planet="Earth"), "planet"),
        (lambda r: r["bills"][0].update(issue_date="soon"), "issue_date"),
        (lambda r: r.update(linez=[]), "Did you mean 'lines'"),
        (lambda r: r.update(lines={"L1": {}}), "lines must be a list"),
    ],
)
def test_broken_records_are_named(change: Any, message: str) -> None:
    records = agent_records()
    change(records)
    with pytest.raises(TaskError, match=message):
        TelecomState.from_records(records)


def test_records_take_their_defaults_and_normal_forms() -> None:
    state = STATE
    assert state.devices["D2"].activation_date == "2025-01-20 14:30:00"
    assert state.customers["C1"].created_at == "2025-01-01 00:00:00"
    assert state.plans["P2"].data_limit_gb == 1.0
    assert isinstance(state.plans["P2"].data_limit_gb, float)
    assert state.phone.network_signal_strength == "good"


def test_initial_hashes_of_the_benchmark(tau2_data: Any) -> None:
    world = TelecomWorld(Tau2Benchmark(tau2_data).initial_state)
    assert world.state.agent_hash() == "304cf5ef059852e117ea801ab9a5efc24c9713ec887679dc2e30acceb4b6742d"
    assert world.state.user_hash() == "e1f3a8637388808221228ff3f87294444e6b64caf721f5eb243a85d0a9380b28"
    world.run("user", "set_user_info", {"name": "John Smith", "phone_number": "555-123-2002"})
    assert world.state.user_hash() == "4946e7b208fefa86109388d94b5c8fb26d541b44521a105e13c8197704ccfb43"
