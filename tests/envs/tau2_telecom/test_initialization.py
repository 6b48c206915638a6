from __future__ import annotations

from typing import Any

import pytest

from telegym.core.errors import TaskError
from telegym.envs.tau2_telecom import initialization
from telegym.envs.tau2_telecom.benchmark import Tau2Benchmark
from telegym.envs.tau2_telecom.verify import _observables
from telegym.envs.tau2_telecom.world import TelecomWorld
from tests.envs.tau2_telecom.small import small_world

L1 = {"customer_id": "C1", "line_id": "L1"}


def user(world: TelecomWorld, name: str, **arguments: Any) -> Any:
    return world.run("user", name, arguments)


def carrier(world: TelecomWorld, name: str, **arguments: Any) -> Any:
    return world.run("assistant", name, arguments)


@pytest.mark.parametrize(
    ("stem", "attribute"),
    [
        ("turn_airplane_mode", "airplane_mode"),
        ("turn_data", "data_enabled"),
        ("turn_roaming", "roaming_enabled"),
        ("turn_data_saver_mode", "data_saver_mode"),
    ],
)
def test_switches_reach_the_state_they_name_from_either(stem: str, attribute: str) -> None:
    world = small_world()
    for state in ("on", "on", "off", "off", "on"):
        user(world, f"{stem}_{state}")
        assert getattr(world.phone, attribute) is (state == "on")


def test_airplane_mode_on_again_drops_a_vpn_connected_in_between() -> None:
    world = small_world()
    user(world, "turn_airplane_mode_on")
    user(world, "break_vpn")
    assert world.phone.vpn_connected
    user(world, "turn_airplane_mode_on")
    assert not world.phone.vpn_connected


def test_turning_data_on_does_not_search() -> None:
    world = small_world(linked=False)
    user(world, "turn_data_on")
    unsearched: str = world.phone.network_signal_strength
    assert unsearched == "good"
    user(world, "turn_data_off")
    searched: str = world.phone.network_signal_strength
    assert searched == "excellent"


def test_locking_the_sim_card_knows_two_modes() -> None:
    world = small_world()
    for mode, status in (("pin", "locked_pin"), ("puk", "locked_puk"), ("nonsense", "locked_puk")):
        user(world, "lock_sim_card", mode=mode)
        assert world.phone.sim_card_status == status


def test_wifi_calling_leaves_the_hidden_flag_unless_given() -> None:
    world = small_world()
    user(world, "set_wifi_calling", enabled=True, mms_over_wifi=True)
    user(world, "set_wifi_calling", enabled=False)
    assert not world.phone.wifi_calling_enabled
    assert world.phone.wifi_calling_mms_over_wifi


def test_removing_permissions_tells_whether_it_could() -> None:
    world = small_world()
    assert user(world, "remove_app_permission", app_name="messaging", permission="SMS") == (True, "")
    assert not world.phone.app_statuses["messaging"].permissions.sms
    assert user(world, "remove_app_permission", app_name="camera", permission="sms")[0] is False
    assert user(world, "remove_app_permission", app_name="messaging", permission="x")[0] is False


@pytest.mark.parametrize("contract_ended", [False, True])
def test_suspension_for_an_overdue_bill(contract_ended: bool) -> None:
    world = small_world()
    carrier(world, "suspend_line_for_overdue_bill", **L1, new_bill_id="B777", contract_ended=contract_ended)
    line, bill = world.state.lines["L1"], world.state.bills["B777"]
    assert (line.status, line.suspension_start_date) == ("Suspended", "2025-02-25")
    assert line.contract_end_date == ("2025-01-31" if contract_ended else "2026-01-31")
    assert world.state.customers["C1"].bill_ids[-1] == "B777"
    assert bill.dump() == {
        "bill_id": "B777",
        "customer_id": "C1",
        "period_start": "2025-01-01",
        "period_end": "2025-01-31",
        "issue_date": "2025-01-01",
        "total_due": 50.0,
        "due_date": "2025-01-15",
        "line_items": [
            {"description": "Charge for line L1", "amount": 50.0, "date": "2025-02-25", "item_type": "Charge"}
        ],
        "status": "Overdue",
    }
    assert not world.surroundings.line_active


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"customer_id": "C1", "line_id": "L2"}, "Suspended"),
        ({"customer_id": "C1", "line_id": "L9"}, "L9"),
        ({"customer_id": "C2", "line_id": "L1"}, "overdue bill already"),
        ({"customer_id": "C9", "line_id": "L1"}, "C9"),
        ({"customer_id": "C1", "line_id": "L1", "new_bill_id": "B1"}, "already"),
    ],
)
def test_suspensions_that_are_not_possible(arguments: dict[str, Any], message: str) -> None:
    world = small_world()
    state = world.state
    with pytest.raises(TaskError, match=message):
        carrier(world, "suspend_line_for_overdue_bill", **{"new_bill_id": "B777", "contract_ended": False, **arguments})
    assert world.state is state


def test_speed_assertions() -> None:
    world = small_world()
    assert user(world, "assert_internet_speed", expected_speed=200, expected_desc="EXCELLENT")
    assert not user(world, "assert_internet_speed", expected_speed=275.01)
    assert not user(world, "assert_internet_not_excellent")
    user(world, "turn_data_off")
    assert user(world, "assert_internet_speed", expected_speed=0)
    assert not user(world, "assert_internet_speed", expected_speed=0, expected_desc="excellent")
    assert user(world, "assert_internet_not_excellent")


def test_assertions_about_the_phone() -> None:
    world = small_world()
    for name, expected in (
        ("assert_airplane_mode_status", False),
        ("assert_mobile_data_status", True),
        ("assert_mobile_roaming_status", False),
        ("assert_mobile_data_saver_mode_status", False),
        ("assert_can_send_mms", True),
        ("assert_mobile_data_usage_exceeded", False),
    ):
        assert user(world, name, expected_status=expected) is True
        assert user(world, name, expected_status=not expected) is False
    assert user(world, "assert_service_status", expected_status="connected")
    assert not user(world, "assert_service_status", expected_status="no_service")
    with pytest.raises(TaskError, match="Did you mean 'no_service'"):
        user(world, "assert_service_status", expected_status="no_servce")


def test_assertions_about_the_carrier() -> None:
    world = small_world()
    assert carrier(world, "assert_line_status", **L1, expected_status="Active")
    assert not carrier(world, "assert_line_status", **L1, expected_status="Suspended")
    carrier(world, "refuel_data", **L1, gb_amount=1.0)
    carrier(world, "refuel_data", **L1, gb_amount=1.0)
    assert carrier(world, "assert_data_refueling_amount", **L1, expected_amount=2.0)
    assert not carrier(world, "assert_data_refueling_amount", **L1, expected_amount=2.5)
    with pytest.raises(TaskError, match="L4"):
        carrier(world, "assert_line_status", customer_id="C1", line_id="L4", expected_status="Closed")


def test_an_overdue_bill_is_settled_by_payment_alone() -> None:
    world = small_world()
    assert carrier(world, "assert_no_overdue_bill", overdue_bill_id="B777")
    carrier(world, "suspend_line_for_overdue_bill", **L1, new_bill_id="B777", contract_ended=False)
    assert carrier(world, "assert_overdue_bill_exists", customer_id="C1", overdue_bill_id="B777")
    assert not carrier(world, "assert_no_overdue_bill", overdue_bill_id="B777")
    carrier(world, "send_payment_request", customer_id="C1", bill_id="B777")
    assert not carrier(world, "assert_no_overdue_bill", overdue_bill_id="B777")
    with pytest.raises(TaskError, match="Awaiting Payment"):
        carrier(world, "assert_overdue_bill_exists", customer_id="C1", overdue_bill_id="B777")
    user(world, "make_payment")
    assert carrier(world, "assert_no_overdue_bill", overdue_bill_id="B777")
    with pytest.raises(TaskError, match="B4"):
        carrier(world, "assert_overdue_bill_exists", customer_id="C1", overdue_bill_id="B4")


def test_every_function_is_known_on_its_side_only() -> None:
    assert len(initialization.USER_FUNCTIONS) == 27
    assert len(initialization.ASSISTANT_FUNCTIONS) == 6
    assert initialization.function_of("user", "set_data_usage") is None
    assert initialization.function_of("assistant", "break_vpn") is None
    assert {"break_vpn", "toggle_data"} <= set(initialization.function_names("user"))


SINGLE_FAULTS = """
mobile_data_issue user_abroad_roaming_enabled_off 304cf5ef059852e1 0225958c9329708d connected/5G/excellent/None/False
mobile_data_issue user_abroad_roaming_disabled_on b167dc73a096e4e7 aed352ffa46ada5d connected/5G/excellent/None/False
mobile_data_issue user_abroad_roaming_disabled_off b167dc73a096e4e7 44f3ebb410c976d0 connected/5G/excellent/None/False
mobile_data_issue data_mode_off 304cf5ef059852e1 271e17a101fa74c3 connected/5G/excellent/None/False
mobile_data_issue data_saver_mode_on 304cf5ef059852e1 a3067b3fe305df75 connected/5G/good/44.0/True
mobile_data_issue bad_network_preference 304cf5ef059852e1 f0b8b8be6f410c34 connected/2G/poor/0.05/False
mobile_data_issue bad_vpn 304cf5ef059852e1 22c00be1f23f06c5 connected/5G/good/22.0/True
mobile_data_issue data_usage_exceeded 2041156d154b2ed1 f60de0c735f73ee3 connected/5G/good/None/False
service_issue airplane_mode_on 304cf5ef059852e1 5fbd92bd42e95b55 no_service/none/none/None/False
service_issue unseat_sim_card 304cf5ef059852e1 7fb7f4136e5a0092 no_service/none/none/None/False
service_issue lock_sim_card_pin 304cf5ef059852e1 957e846578526e02 no_service/none/none/None/False
service_issue break_apn_settings 304cf5ef059852e1 4c39b23be07e5d62 no_service/none/none/None/False
service_issue overdue_bill_suspension aad6f2f4527d7368 f27c4a613fd74fd2 no_service/none/none/None/False
service_issue contract_end_suspension 742995a3e358cbad f27c4a613fd74fd2 no_service/none/none/None/False
mms_issue bad_network_preference 304cf5ef059852e1 f0b8b8be6f410c34 connected/2G/poor/0.05/False
mms_issue bad_wifi_calling 304cf5ef059852e1 75d67965efc93bf1 connected/5G/good/220.0/False
mms_issue break_apn_mms_setting 304cf5ef059852e1 1c1bc3f6b5012b84 connected/5G/good/220.0/False
mms_issue break_app_sms_permission 304cf5ef059852e1 f107f98261f880b9 connected/5G/good/220.0/False
mms_issue break_app_storage_permission 304cf5ef059852e1 822e3532b1de61ff connected/5G/good/220.0/False
mms_issue break_app_both_permissions 304cf5ef059852e1 d9e2c8068ff1f8b0 connected/5G/good/220.0/False
""".strip().splitlines()

REPAIRED = """
user_abroad_roaming_enabled_off 304cf5ef059852e1 0246e41b80129883
user_abroad_roaming_disabled_on 304cf5ef059852e1 0246e41b80129883
user_abroad_roaming_disabled_off 304cf5ef059852e1 0246e41b80129883
data_mode_off 304cf5ef059852e1 65e1838b2dc64103
data_saver_mode_on 304cf5ef059852e1 4946e7b208fefa86
bad_network_preference 304cf5ef059852e1 65e1838b2dc64103
bad_vpn 304cf5ef059852e1 4946e7b208fefa86
data_usage_exceeded ed58804f463f2bd3 4946e7b208fefa86
airplane_mode_on 304cf5ef059852e1 65e1838b2dc64103
unseat_sim_card 304cf5ef059852e1 65e1838b2dc64103
lock_sim_card_pin 304cf5ef059852e1 957e846578526e02
break_apn_settings 304cf5ef059852e1 65e1838b2dc64103
overdue_bill_suspension 5a12d77ca0d69592 65e1838b2dc64103
contract_end_suspension 742995a3e358cbad f27c4a613fd74fd2
bad_wifi_calling 304cf5ef059852e1 abe07bfae957fb03
break_apn_mms_setting 304cf5ef059852e1 65e1838b2dc64103
break_app_sms_permission 304cf5ef059852e1 4946e7b208fefa86
break_app_storage_permission 304cf5ef059852e1 4946e7b208fefa86
break_app_both_permissions 304cf5ef059852e1 4946e7b208fefa86
""".strip().splitlines()
AFTER_REPAIR = {name: hashes for name, *hashes in map(str.split, REPAIRED)}


@pytest.mark.parametrize("row", SINGLE_FAULTS, ids=lambda row: "-".join(row.split()[:2]))
def test_single_faults_have_the_hashes_of_the_original(tau2_data: Any, row: str) -> None:
    family, fault, agent_hash, user_hash, seen = row.split()
    benchmark = Tau2Benchmark(tau2_data)
    task = next((t for t in benchmark.tasks if t.id.startswith(f"[{family}]{fault}[")), None)
    if task is None:
        pytest.skip(f"the data folder has no {family} task with {fault} alone")
    world = benchmark.build_world(task)
    assert [world.state.agent_hash()[:16], world.state.user_hash()[:16]] == [agent_hash, user_hash]
    observed = _observables(world.state)
    assert "/".join(str(observed[key]) for key in ("conn", "tech", "sig", "speed", "mms")) == seen
    for action in task.actions:
        assert not world.call_unchecked(action.requestor, action.name, action.arguments)[1]
    assert [world.state.agent_hash()[:16], world.state.user_hash()[:16]] == AFTER_REPAIR[fault]
    assert all(world.run(a.target, a.name, a.arguments) == a.expected for a in task.assertions)
