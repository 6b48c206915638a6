from __future__ import annotations

import json
import math
from typing import Any

import pytest

from telegym.envs.tau2_telecom.state import evolve
from telegym.envs.tau2_telecom.world import TelecomWorld
from tests.envs.tau2_telecom.small import NUMBER, small_world

L1 = {"customer_id": "C1", "line_id": "L1"}


def use(world: TelecomWorld, name: str, **arguments: Any) -> Any:
    content, error = world.call_unchecked("assistant", name, arguments)
    assert not error, content
    return json.loads(content) if content[:1] in "{[" else content


def fails(world: TelecomWorld, name: str, *mentions: str, **arguments: Any) -> None:
    state = world.state
    content, error = world.call_unchecked("assistant", name, arguments)
    assert error
    assert all(text in content for text in mentions)
    assert world.state is state


def test_customers_are_found_by_contact_number_or_line() -> None:
    world = small_world()
    for number in ("555-010-0009", NUMBER, "555-010-0002"):
        assert use(world, "get_customer_by_phone", phone_number=number)["customer_id"] == "C1"
    fails(world, "get_customer_by_phone", "5550100009", phone_number="5550100009")
    fails(world, "get_customer_by_phone", phone_number=["555-010-0009"])


def test_the_first_customer_with_a_number_wins() -> None:
    records = small_world().agent_dump()
    records["customers"][1]["phone_number"] = NUMBER
    world = TelecomWorld.from_records(records)
    assert use(world, "get_customer_by_phone", phone_number=NUMBER)["customer_id"] == "C1"
    records["customers"].reverse()
    world = TelecomWorld.from_records(records)
    assert use(world, "get_customer_by_phone", phone_number=NUMBER)["customer_id"] == "C2"


def test_names_ignore_case_and_dates_do_not_lie() -> None:
    world = small_world()
    (found,) = use(world, "get_customer_by_name", full_name="ada BYRON", dob="1990-12-10")
    assert found["customer_id"] == "C1"
    assert use(world, "get_customer_by_name", full_name="Ada Byron", dob="1990-12-1") == []
    fails(world, "get_customer_by_name", full_name=5, dob="1990-12-10")


def test_records_are_complete_and_typed() -> None:
    world = small_world()
    assert use(world, "get_details_by_id", id="L1") == world.agent_dump()["lines"][0]
    assert use(world, "get_details_by_id", id="D2")["activation_date"] == "2025-01-20 14:30:00"
    assert use(world, "get_details_by_id", id="B2")["line_items"][0]["amount"] == 55.5
    assert use(world, "get_details_by_id", id="P1")["data_limit_gb"] == 10.0
    assert use(world, "get_details_by_id", id="C1")["address"]["city"] == "Åby"
    for identifier in ("L9", "B9", "C9", "P9", "D9", "X1", "l1", ""):
        fails(world, "get_details_by_id", f"'{identifier}'", id=identifier)
    fails(world, "get_details_by_id", id=5)


def test_bills_come_latest_first_and_limits_are_slices() -> None:
    world = small_world()

    def ids(**arguments: Any) -> list[str]:
        return [bill["bill_id"] for bill in use(world, "get_bills_for_customer", customer_id="C1", **arguments)]

    assert ids() == ["B3", "B2", "B1"]
    assert ids(limit=0) == []
    assert ids(limit=2) == ["B3", "B2"]
    assert ids(limit=-1) == ["B3", "B2"]
    fails(world, "get_bills_for_customer", customer_id="C1", limit="2")
    fails(world, "get_bills_for_customer", "C9", customer_id="C9")


def test_bills_of_one_day_keep_their_order() -> None:
    world = small_world()
    for bill in list(world.state.bills.values())[:3]:
        world.put_bill(evolve(bill, issue_date="2025-01-01"))
    bills = use(world, "get_bills_for_customer", customer_id="C1")
    assert [bill["bill_id"] for bill in bills] == ["B1", "B2", "B3"]


def test_an_overdue_bill_is_listed_last() -> None:
    world = small_world()
    world.run("assistant", "suspend_line_for_overdue_bill", {**L1, "new_bill_id": "B777", "contract_ended": False})
    bills = use(world, "get_bills_for_customer", customer_id="C1")
    assert bills[-1]["bill_id"] == "B777"
    assert bills[-1]["status"] == "Overdue"


@pytest.mark.parametrize("name", ["suspend_line", "resume_line", "enable_roaming", "disable_roaming", "get_data_usage"])
def test_only_own_lines_can_be_reached(name: str) -> None:
    world = small_world()
    reason = {"reason": "travel"} if name == "suspend_line" else {}
    fails(world, name, "L4", "C1", customer_id="C1", line_id="L4", **reason)
    fails(world, name, "C9", customer_id="C9", line_id="L1", **reason)
    fails(world, name, customer_id="C1", **reason)
    fails(world, name, **L1, **reason, extra_arg=1)


def test_suspending_and_resuming() -> None:
    world = small_world()
    answer = use(world, "suspend_line", **L1, reason="travel")
    assert "$5" in answer["message"]
    assert answer["line"]["status"] == "Suspended"
    assert answer["line"]["suspension_start_date"] == "2025-02-25"
    fails(world, "suspend_line", **L1, reason="travel")
    assert use(world, "resume_line", **L1)["line"]["suspension_start_date"] is None
    fails(world, "resume_line", **L1)
    for line_id in ("L2", "L3"):
        assert use(world, "resume_line", customer_id="C1", line_id=line_id)["line"]["status"] == "Active"
    fails(world, "resume_line", "Closed", customer_id="C2", line_id="L4")
    assert world.state.bills == small_world().state.bills


def test_roaming_says_when_nothing_changed() -> None:
    world = small_world()
    state = world.state
    assert "already" in use(world, "enable_roaming", **L1)
    assert world.state is state
    assert "already" not in use(world, "disable_roaming", **L1)
    assert not world.surroundings.roaming_allowed
    assert "already" in use(world, "disable_roaming", **L1)


def test_usage_gives_its_numbers_as_text() -> None:
    assert use(small_world(), "get_data_usage", **L1) == {
        "line_id": "L1",
        "data_used_gb": "4.5",
        "data_limit_gb": "10.0",
        "data_refueling_gb": "0.0",
        "cycle_end_date": "2025-02-28",
    }


def test_refuelling_goes_on_the_draft_bill() -> None:
    world = small_world()
    answer = use(world, "refuel_data", **L1, gb_amount=2)
    assert answer["new_data_refueling_gb"] == "2.0"
    assert answer["charge"] == "5.0"
    assert "$5.00" in answer["message"]
    use(world, "refuel_data", **L1, gb_amount=2.0)
    bill = world.state.bills["B3"].dump()
    assert bill["total_due"] == 10.0
    assert [item["description"] for item in bill["line_items"]] == [
        "Data refueling: 2 GB at $2.5/GB",
        "Data refueling: 2.0 GB at $2.5/GB",
    ]
    assert bill["line_items"][0]["item_type"] == "Charge"
    assert bill["line_items"][0]["date"] == "2025-02-25"
    assert world.state.lines["L1"].data_refueling_gb == 4.0


def test_refuelling_makes_a_draft_bill_where_there_is_none() -> None:
    world = small_world()
    use(world, "refuel_data", customer_id="C2", line_id="L4", gb_amount=3.0)
    (old, new) = world.state.customers["C2"].bill_ids
    assert old == "B4"
    bill = world.state.bills[new].dump()
    assert list(world.state.bills)[-1] == new
    assert (bill["period_start"], bill["period_end"]) == ("2025-03-01", "2025-03-31")
    assert (bill["issue_date"], bill["due_date"]) == ("2025-03-01", "2025-03-15")
    assert (bill["status"], bill["total_due"]) == ("Draft", 3.0)
    use(world, "refuel_data", customer_id="C2", line_id="L4", gb_amount=1.0)
    assert len(world.state.customers["C2"].bill_ids) == 2


@pytest.mark.parametrize("amount", [0, 0.0, -1.0, "2", None, [], 10**400])
def test_amounts_that_cannot_be_refuelled(amount: Any) -> None:
    fails(small_world(), "refuel_data", **L1, gb_amount=amount)


def test_not_a_number_passes_as_positive_and_restores_data() -> None:
    world = small_world()
    world.run("assistant", "set_data_usage", {**L1, "data_used_gb": 11.0})
    assert world.surroundings.mobile_data_usage_exceeded
    use(world, "refuel_data", **L1, gb_amount=math.nan)
    assert not world.surroundings.mobile_data_usage_exceeded
    assert "NaN" in world.state.lines["L1"].text()


def test_payment_requests_reopen_any_bill_one_at_a_time() -> None:
    world = small_world()
    fails(world, "send_payment_request", "B4", customer_id="C1", bill_id="B4")
    fails(world, "send_payment_request", "C9", customer_id="C9", bill_id="B1")
    assert "B1" in use(world, "send_payment_request", customer_id="C1", bill_id="B1")
    assert world.state.bills["B1"].status == "Awaiting Payment"
    fails(world, "send_payment_request", customer_id="C1", bill_id="B2")
    fails(world, "send_payment_request", customer_id="C1", bill_id="B1")


def test_handing_over_changes_nothing() -> None:
    world = small_world()
    state = world.state
    use(world, "transfer_to_human_agents", summary="stuck")
    assert world.state is state
    fails(world, "transfer_to_human_agents")
