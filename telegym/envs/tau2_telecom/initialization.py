"""Functions of the simulator that are no tools: bringing about faults, and checking the final state.

`function_of` finds what a task may call on either side: these, and every tool.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from telegym.core.errors import TaskError, did_you_mean
from telegym.envs.tau2_telecom import carrier, phone
from telegym.envs.tau2_telecom.carrier import TODAY
from telegym.envs.tau2_telecom.state import Bill, LineItem, evolve
from telegym.envs.tau2_telecom.world import TelecomWorld

__all__ = ["ASSISTANT_FUNCTIONS", "USER_FUNCTIONS", "function_names", "function_of", "tool_function"]

_NETWORK_STATUSES = ("connected", "searching", "no_service", "emergency_only")
_LAST_MONTH_START, _LAST_MONTH_END, _LAST_DUE_DATE = "2025-01-01", "2025-01-31", "2025-01-15"
_SIDES = ("user", "assistant")


def set_user_info(world: TelecomWorld, name: str, phone_number: str) -> None:
    """Say who the user is; the phone number links the phone to a line."""
    world.set_surroundings(name=name, phone_number=phone_number)


def set_user_location(world: TelecomWorld, abroad: bool) -> None:
    """Say whether the user is abroad."""
    world.set_surroundings(is_abroad=abroad)


def _toggle_until(toggle: Callable[[TelecomWorld], bool], world: TelecomWorld, wanted: bool) -> None:
    if toggle(world) != wanted:
        toggle(world)


def turn_airplane_mode_on(world: TelecomWorld) -> None:
    """Turn airplane mode on; if it was on already, by way of off."""
    _toggle_until(phone.toggle_airplane_mode, world, True)


def turn_airplane_mode_off(world: TelecomWorld) -> None:
    """Turn airplane mode off; if it was off already, by way of on."""
    _toggle_until(phone.toggle_airplane_mode, world, False)


def unseat_sim_card(world: TelecomWorld) -> None:
    """Unseat the SIM card."""
    new = evolve(world.state.phone, sim_card_missing=True)
    phone.settle(world, new)


def lock_sim_card(world: TelecomWorld, mode: str) -> None:
    """Lock the SIM card with a `pin` or a `puk`."""
    new = world.state.phone.copy()
    if mode == "pin":
        new.sim_card_status = "locked_pin"
    elif mode == "puk":
        new.sim_card_status = "locked_puk"
    phone.settle(world, new)


def turn_data_on(world: TelecomWorld) -> None:
    """Turn mobile data on, without a network search."""
    world.set_phone(evolve(world.state.phone, data_enabled=True))


def turn_data_off(world: TelecomWorld) -> None:
    """Turn mobile data off."""
    _toggle_until(phone.toggle_data, world, False)


def turn_roaming_on(world: TelecomWorld) -> None:
    """Turn the phone's roaming switch on."""
    _toggle_until(phone.toggle_roaming, world, True)


def turn_roaming_off(world: TelecomWorld) -> None:
    """Turn the phone's roaming switch off."""
    _toggle_until(phone.toggle_roaming, world, False)


def turn_data_saver_mode_on(world: TelecomWorld) -> None:
    """Turn data saver on."""
    _toggle_until(phone.toggle_data_saver_mode, world, True)


def turn_data_saver_mode_off(world: TelecomWorld) -> None:
    """Turn data saver off."""
    _toggle_until(phone.toggle_data_saver_mode, world, False)


def break_apn_settings(world: TelecomWorld) -> None:
    """Select the broken APN."""
    new = world.state.phone.copy()
    new.active_apn_settings = evolve(new.active_apn_settings, apn_name="broken")
    phone.settle(world, new)
    if world.state.phone.network_connection_status != "no_service":
        raise TaskError("break_apn_settings: the phone still has service")


def break_apn_mms_setting(world: TelecomWorld) -> None:
    """Remove the address of the picture message service."""
    new = world.state.phone.copy()
    new.active_apn_settings = evolve(new.active_apn_settings, mmsc_url=None)
    world.set_phone(new)
    if phone.can_send_mms(new, world.state.surroundings):
        raise TaskError("break_apn_mms_setting: picture messages still work")


def set_wifi_calling(world: TelecomWorld, enabled: bool, mms_over_wifi: bool | None = None) -> None:
    """Set Wi-Fi calling and, if given, whether picture messages go over Wi-Fi."""
    new = evolve(world.state.phone, wifi_calling_enabled=enabled)
    if mms_over_wifi is not None:
        new.wifi_calling_mms_over_wifi = mms_over_wifi
    world.set_phone(new)


def break_vpn(world: TelecomWorld) -> None:
    """Make the connected VPN slow, connecting one if there is none; the default profile stays slow."""
    phone.connect_vpn(world)
    details = world.state.phone.vpn_details
    if details is None:
        raise TaskError("break_vpn: the VPN is connected without details")
    poor = evolve(details, server_performance="poor")
    if details is world.state.default_vpn:
        world.set_default_vpn(poor)
    world.set_phone(evolve(world.state.phone, vpn_details=poor))


def remove_app_permission(world: TelecomWorld, app_name: str, permission: str) -> tuple[bool, str]:
    """Take a permission from an app; return whether that was possible and, if not, why."""
    return phone.set_permission(world, app_name, permission, False)


def simulate_network_search(world: TelecomWorld) -> None:
    """Search for a network."""
    phone.research(world)


def assert_airplane_mode_status(world: TelecomWorld, expected_status: bool) -> bool:
    """Return whether airplane mode is as expected."""
    return world.state.phone.airplane_mode == expected_status


def assert_service_status(world: TelecomWorld, expected_status: str) -> bool:
    """Return whether the cellular connection is as expected."""
    if expected_status not in _NETWORK_STATUSES:
        hint = did_you_mean(str(expected_status), _NETWORK_STATUSES)
        raise TaskError(f"no service status {expected_status!r}; valid: {', '.join(_NETWORK_STATUSES)}.{hint}")
    return world.state.phone.network_connection_status == expected_status


def assert_mobile_data_status(world: TelecomWorld, expected_status: bool) -> bool:
    """Return whether mobile data works or not, as expected."""
    return phone.data_works(world.state.phone, world.state.surroundings) == expected_status


def assert_mobile_roaming_status(world: TelecomWorld, expected_status: bool) -> bool:
    """Return whether the phone's roaming switch is as expected."""
    return world.state.phone.roaming_enabled == expected_status


def assert_mobile_data_saver_mode_status(world: TelecomWorld, expected_status: bool) -> bool:
    """Return whether data saver is as expected."""
    return world.state.phone.data_saver_mode == expected_status


def assert_internet_speed(world: TelecomWorld, expected_speed: float, expected_desc: str | None = None) -> bool:
    """Return whether the speed is high enough and, if given, described as expected."""
    speed, description = phone.speed_test(world.state.phone, world.state.surroundings)
    if (speed or 0.0) < expected_speed:
        return False
    return expected_desc is None or description.lower() == expected_desc.lower()


def assert_internet_not_excellent(world: TelecomWorld) -> bool:
    """Return whether the speed is anything but excellent."""
    return phone.speed_test(world.state.phone, world.state.surroundings)[1] != "Excellent"


def assert_can_send_mms(world: TelecomWorld, expected_status: bool) -> bool:
    """Return whether picture messages can be sent or not, as expected."""
    return phone.can_send_mms(world.state.phone, world.state.surroundings) == expected_status


def assert_mobile_data_usage_exceeded(world: TelecomWorld, expected_status: bool) -> bool:
    """Return whether the quota is used up or not, as expected."""
    return world.state.surroundings.mobile_data_usage_exceeded == expected_status


def set_data_usage(world: TelecomWorld, customer_id: str, line_id: str, data_used_gb: float) -> None:
    """Set how much data a line has used."""
    world.put_line(evolve(carrier.owned_line(world, customer_id, line_id), data_used_gb=data_used_gb))


def suspend_line_for_overdue_bill(
    world: TelecomWorld, customer_id: str, line_id: str, new_bill_id: str, contract_ended: bool
) -> None:
    """Suspend an active line for a new overdue bill, or also because its contract ended last month."""
    line = carrier.line_of_id(world, line_id)
    if line.status != "Active":
        raise TaskError(f"line {line_id!r} is {line.status}, not Active")
    price = carrier.plan_of_id(world, line.plan_id).price_per_month
    if price <= 0:
        raise TaskError(f"plan {line.plan_id!r} costs nothing: there is nothing to be overdue")
    if any(bill.status == "Overdue" for bill in carrier.bills_of_customer(world, customer_id)):
        raise TaskError(f"customer {customer_id!r} has an overdue bill already")
    if new_bill_id in world.state.bills:
        raise TaskError(f"there is a bill {new_bill_id!r} already")
    carrier.add_bill(world, _overdue_bill(customer_id, line_id, new_bill_id, price))
    line = evolve(line, status="Suspended", suspension_start_date=TODAY)
    if contract_ended:
        line.contract_end_date = _LAST_MONTH_END
    world.put_line(line)


def _overdue_bill(customer_id: str, line_id: str, bill_id: str, amount: float) -> Bill:
    item = LineItem(description=f"Charge for line {line_id}", amount=amount, date=TODAY, item_type="Charge")
    return Bill(
        bill_id=bill_id,
        customer_id=customer_id,
        period_start=_LAST_MONTH_START,
        period_end=_LAST_MONTH_END,
        issue_date=_LAST_MONTH_START,
        total_due=amount,
        due_date=_LAST_DUE_DATE,
        line_items=(item,),
        status="Overdue",
    )


def assert_data_refueling_amount(world: TelecomWorld, customer_id: str, line_id: str, expected_amount: float) -> bool:
    """Return whether a line was refuelled by the expected amount."""
    return abs(carrier.owned_line(world, customer_id, line_id).data_refueling_gb - expected_amount) < 1e-6


def assert_line_status(world: TelecomWorld, customer_id: str, line_id: str, expected_status: str) -> bool:
    """Return whether a line's status is as expected."""
    return carrier.owned_line(world, customer_id, line_id).status == expected_status


def assert_overdue_bill_exists(world: TelecomWorld, customer_id: str, overdue_bill_id: str) -> bool:
    """Return true if a customer has this bill and it is overdue; it is an error otherwise."""
    if overdue_bill_id not in carrier.customer_of_id(world, customer_id).bill_ids:
        raise TaskError(f"customer {customer_id!r} has no bill {overdue_bill_id!r}")
    status = carrier.bill_of_id(world, overdue_bill_id).status
    if status != "Overdue":
        raise TaskError(f"bill {overdue_bill_id!r} is {status}, not Overdue")
    return True


def assert_no_overdue_bill(world: TelecomWorld, overdue_bill_id: str) -> bool:
    """Return whether a bill is paid or does not exist."""
    bill = world.state.bills.get(overdue_bill_id)
    return bill is None or bill.status == "Paid"


def _by_name(*functions: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    return {function.__name__: function for function in functions}


USER_FUNCTIONS: Mapping[str, Callable[..., Any]] = _by_name(
    set_user_info,
    set_user_location,
    turn_airplane_mode_on,
    turn_airplane_mode_off,
    unseat_sim_card,
    lock_sim_card,
    turn_data_on,
    turn_data_off,
    turn_roaming_on,
    turn_roaming_off,
    turn_data_saver_mode_on,
    turn_data_saver_mode_off,
    break_apn_settings,
    break_apn_mms_setting,
    set_wifi_calling,
    break_vpn,
    remove_app_permission,
    simulate_network_search,
    assert_airplane_mode_status,
    assert_service_status,
    assert_mobile_data_status,
    assert_mobile_roaming_status,
    assert_mobile_data_saver_mode_status,
    assert_internet_speed,
    assert_internet_not_excellent,
    assert_can_send_mms,
    assert_mobile_data_usage_exceeded,
)
"""Functions of the phone's side, by name, without the tools."""

ASSISTANT_FUNCTIONS: Mapping[str, Callable[..., Any]] = _by_name(
    set_data_usage,
    suspend_line_for_overdue_bill,
    assert_data_refueling_amount,
    assert_line_status,
    assert_overdue_bill_exists,
    assert_no_overdue_bill,
)
"""Functions of the carrier's side, by name, without the tools."""


@cache
def _tools() -> dict[str, dict[str, Callable[..., Any]]]:
    from telegym.tools.tau2_telecom import AGENT_TOOLS, USER_TOOLS  # the tools import this package

    return {
        "assistant": {tool.name: tool.function for tool in AGENT_TOOLS},
        "user": {tool.name: tool.function for tool in USER_TOOLS},
    }


def tool_function(target: str, name: str) -> Callable[..., Any] | None:
    """Return the function behind a tool of one side, or None."""
    return _tools().get(target, {}).get(name)


def function_of(target: str, name: str) -> Callable[..., Any] | None:
    """Return what a task may call by this name on one side: tool, initialisation function or assertion; or None.

    Raises:
        TaskError: If there is no such side.
    """
    if target not in _SIDES:
        raise TaskError(f"no side {target!r}; valid sides: {', '.join(_SIDES)}.{did_you_mean(str(target), _SIDES)}")
    functions = USER_FUNCTIONS if target == "user" else ASSISTANT_FUNCTIONS
    return functions.get(name) or tool_function(target, name)


def function_names(target: str) -> list[str]:
    """Return all names that `function_of` knows on one side."""
    functions = USER_FUNCTIONS if target == "user" else ASSISTANT_FUNCTIONS
    return [*functions, *_tools()[target]]
