"""A small carrier with a phone: what the tests of tau2 telecom play with when no benchmark data is at hand."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from telegym.envs.tau2_telecom.state import TelecomState
from telegym.envs.tau2_telecom.world import TelecomWorld

NUMBER = "555-010-0001"

Call = tuple[str, str, dict[str, Any]]


def agent_records() -> dict[str, Any]:
    return {
        "plans": [
            _plan("P1", data_limit_gb=10.0, price_per_month=50.0, data_refueling_price_per_gb=2.5),
            _plan("P2", data_limit_gb=1, price_per_month=0, data_refueling_price_per_gb=1),
        ],
        "customers": [
            _customer("C1", "Ada Byron", "555-010-0009", ["L1", "L2", "L3"], ["B1", "B2", "B3"]),
            _customer("C2", "Max Kahn", "555-010-0008", ["L4"], ["B4"]),
        ],
        "lines": [
            _line("L1", NUMBER, "Active", data_used_gb=4.5, roaming_enabled=True, contract_end_date="2026-01-31"),
            _line("L2", "555-010-0002", "Suspended", suspension_start_date="2025-02-01"),
            _line("L3", "555-010-0003", "Pending Activation"),
            _line("L4", "555-010-0004", "Closed", plan_id="P2"),
        ],
        "bills": [
            _bill("B1", "C1", "2025-01-05", "Paid", 50.0),
            _bill("B2", "C1", "2025-02-05", "Issued", 55.5),
            _bill("B3", "C1", "2025-03-01", "Draft", 0.0),
            _bill("B4", "C2", "2025-02-05", "Overdue", 10.0),
        ],
        "devices": [
            {"device_id": "D1", "device_type": "phone", "model": "One", "is_esim_capable": True},
            {
                "device_id": "D2",
                "device_type": "watch",
                "model": "Zwölf",
                "imei": "12",
                "is_esim_capable": False,
                "activation_date": "2025-01-20T14:30:00",
            },
        ],
    }


def _plan(plan_id: str, **fields: Any) -> dict[str, Any]:
    return {"plan_id": plan_id, "name": f"Plan {plan_id}", **fields}


def _customer(customer_id: str, name: str, number: str, lines: list[str], bills: list[str]) -> dict[str, Any]:
    return {
        "customer_id": customer_id,
        "full_name": name,
        "date_of_birth": "1990-12-10",
        "email": f"{customer_id}@example.org",
        "phone_number": number,
        "address": {"street": "1 Main Street", "city": "Åby", "state": "XX", "zip_code": "00001"},
        "account_status": "Active",
        "payment_methods": [
            {"method_type": "PayPal", "account_number_last_4": "1234", "expiration_date": "12/2027"},
        ],
        "line_ids": lines,
        "bill_ids": bills,
    }


def _line(line_id: str, number: str, status: str, plan_id: str = "P1", **fields: Any) -> dict[str, Any]:
    return {"line_id": line_id, "phone_number": number, "status": status, "plan_id": plan_id, **fields}


def _bill(bill_id: str, customer_id: str, issued: str, status: str, total: float) -> dict[str, Any]:
    item = {"description": "Plan", "amount": total, "date": issued, "item_type": "Plan Charge"}
    return {
        "bill_id": bill_id,
        "customer_id": customer_id,
        "period_start": issued,
        "period_end": issued,
        "issue_date": issued,
        "due_date": issued,
        "total_due": total,
        "line_items": [item] if total else [],
        "status": status,
    }


STATE = TelecomState.from_records(agent_records())


def small_world(seed: int = 0, linked: bool = True) -> TelecomWorld:
    """Return a world whose user, if linked, has line L1 in hand and a phone that has searched for its network."""
    world = TelecomWorld(STATE, seed)
    if linked:
        world.run("user", "set_user_info", {"name": "Ada Byron", "phone_number": NUMBER})
        world.run("user", "simulate_network_search", {})
    return world


def _call(side: str, name: str, **arguments: Any) -> Any:
    return st.tuples(st.just(side), st.just(name), st.fixed_dictionaries(arguments))


_customers = st.sampled_from(["C1", "C2", "C9"])
_lines = st.sampled_from(["L1", "L2", "L3", "L4", "L9"])
_apps = st.sampled_from(["messaging", "browser", "camera"])
_owned = {"customer_id": _customers, "line_id": _lines}
_settings = st.fixed_dictionaries(
    {},
    optional={
        "apn_name": st.sampled_from(["internet", "broken", "x"]),
        "mmsc_url": st.sampled_from([None, "", "http://example.org"]),
        "reset_at_reboot": st.booleans(),
        "mms_port": st.sampled_from([None, 80]),
        "color": st.just("red"),
    },
)

PHONE_ONLY = (
    "check_status_bar",
    "check_network_status",
    "run_speed_test",
    "toggle_airplane_mode",
    "check_sim_status",
    "reseat_sim_card",
    "toggle_data",
    "toggle_roaming",
    "toggle_data_saver_mode",
    "check_apn_settings",
    "reset_apn_settings",
    "check_wifi_status",
    "toggle_wifi",
    "toggle_wifi_calling",
    "check_vpn_status",
    "connect_vpn",
    "disconnect_vpn",
    "can_send_mms",
    "reboot_device",
    "check_payment_request",
    "make_payment",
)
"""Tools of the phone that take no arguments."""

calls: st.SearchStrategy[Call] = st.one_of(
    st.tuples(st.just("user"), st.sampled_from(PHONE_ONLY), st.just({})),
    _call(
        "user",
        "set_network_mode_preference",
        mode=st.sampled_from(["4g_5g_preferred", "4g_only", "3g_only", "2g_only", "LTE"]),
    ),
    _call("user", "set_apn_settings", apn_settings=_settings),
    _call("user", "grant_app_permission", app_name=_apps, permission=st.sampled_from(["sms", "STORAGE", "camera"])),
    _call("user", "check_app_status", app_name=_apps),
    _call("user", "check_app_permissions", app_name=_apps),
    _call("assistant", "get_details_by_id", id=st.sampled_from(["L1", "B2", "C1", "P1", "D2", "X1", ""])),
    _call("assistant", "get_bills_for_customer", customer_id=_customers, limit=st.integers(-2, 4)),
    _call("assistant", "suspend_line", **_owned, reason=st.just("travel")),
    _call("assistant", "resume_line", **_owned),
    _call("assistant", "enable_roaming", **_owned),
    _call("assistant", "disable_roaming", **_owned),
    _call("assistant", "get_data_usage", **_owned),
    _call("assistant", "refuel_data", **_owned, gb_amount=st.sampled_from([0, -1.0, 0.5, 2, 2.0, 100.0])),
    _call(
        "assistant", "send_payment_request", customer_id=_customers, bill_id=st.sampled_from(["B1", "B2", "B3", "B4"])
    ),
)
"""Calls of every writing tool and many reading ones, valid and not."""
