"""Faults: what can be wrong with a customer's phone, line or account.

A fault is a way to bring it about, a way to repair it, and what the repair must leave behind, all in terms of a
`Subject`: the customer and line it befalls. Faults only change state; every symptom is computed by the simulator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from telegym.core.errors import ConfigurationError, TaskError, did_you_mean
from telegym.core.messages import Requestor
from telegym.core.task import Assertion, FunctionCall

__all__ = ["FAULTS", "REFUEL_LIMIT_GB", "Fault", "Repair", "Subject", "checked_faults", "fault"]

REFUEL_LIMIT_GB = 2.0
"""The most extra data a customer may buy for one line in a month."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The customer and the line that a task is about."""

    customer_id: str
    """Customer who owns the line."""
    line_id: str
    """The line whose phone the user holds."""
    name: str
    """Full name of the customer."""
    phone_number: str
    """Number of the line."""
    bill_id: str
    """Id of the unpaid bill that a suspension brings about."""
    data_limit_gb: float
    """Monthly data limit of the line's plan."""
    overage_gb: float = 0.1
    """By how much a used-up allowance is exceeded."""
    refuel_gb: float = REFUEL_LIMIT_GB
    """Extra data the customer agrees to buy."""
    slow_mode: str = "2g_only"
    """Network mode that a bad preference sets."""


class Repair(NamedTuple):
    """One tool call of a known repair."""

    requestor: Requestor
    """Which side makes the call when the agent does not work alone."""
    name: str
    """Name of the tool."""
    arguments: dict[str, Any]
    """Arguments of the call."""


def _nothing(subject: Subject) -> tuple[()]:
    return ()


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that can be wrong."""

    name: str
    """Name in task ids."""
    summary: str
    """What is wrong, in a few words."""
    initialize: Callable[[Subject], tuple[FunctionCall, ...]]
    """Calls that bring the fault about."""
    repair: Callable[[Subject], tuple[Repair, ...]] = _nothing
    """Calls that repair it; none for a fault the agent must hand over."""
    leaves: Callable[[Subject], tuple[Assertion, ...]] = _nothing
    """What must hold at the end besides the goal of the task."""

    fixable: bool = True
    """Whether the agent can repair it; otherwise a human has to."""


def _user(name: str, **arguments: Any) -> FunctionCall:
    return FunctionCall(target="user", name=name, arguments=arguments)


def _line(name: str, subject: Subject, **arguments: Any) -> FunctionCall:
    own = {"customer_id": subject.customer_id, "line_id": subject.line_id}
    return FunctionCall(target="assistant", name=name, arguments=own | arguments)


def _on_phone(name: str, **arguments: Any) -> Repair:
    return Repair("user", name, arguments)


def _on_line(name: str, subject: Subject, **arguments: Any) -> Repair:
    return Repair("assistant", name, {"customer_id": subject.customer_id, "line_id": subject.line_id} | arguments)


def _phone_fault(name: str, summary: str, broken_by: tuple[FunctionCall, ...], *repairs: Repair) -> Fault:
    """A fault that is the same for every subject."""
    return Fault(name, summary, lambda _: broken_by, lambda _: repairs, fixable=bool(repairs))


def _suspend(subject: Subject, contract_ended: bool) -> tuple[FunctionCall, ...]:
    injected = _line(
        "suspend_line_for_overdue_bill", subject, new_bill_id=subject.bill_id, contract_ended=contract_ended
    )
    return injected, _user("simulate_network_search")


def _settle_and_resume(subject: Subject) -> tuple[Repair, ...]:
    request = {"customer_id": subject.customer_id, "bill_id": subject.bill_id}
    return (
        Repair("assistant", "send_payment_request", request),
        _on_phone("make_payment"),
        _on_line("resume_line", subject),
        _on_phone("reboot_device"),
    )


def _abroad_with(subject: Subject, phone: str, line: str) -> tuple[FunctionCall, ...]:
    """Roaming as asked for; a search follows where the line's side changed."""
    search = (_user("simulate_network_search"),) if line == "disable_roaming" else ()
    return _user("set_user_location", abroad=True), _user(phone), _line(line, subject), *search


def _use_up(subject: Subject) -> tuple[FunctionCall, ...]:
    used = round(subject.data_limit_gb + subject.overage_gb, 2)
    return (_line("set_data_usage", subject, data_used_gb=used),)


def _use_up_with_refuel(subject: Subject) -> tuple[FunctionCall, ...]:
    used = round(subject.data_limit_gb + REFUEL_LIMIT_GB + subject.overage_gb, 2)
    bought = _line("refuel_data", subject, gb_amount=REFUEL_LIMIT_GB)
    return bought, _line("set_data_usage", subject, data_used_gb=used)


def _refuelled_exactly(subject: Subject) -> tuple[Assertion, ...]:
    wanted = _line("assert_data_refueling_amount", subject, expected_amount=subject.refuel_gb)
    return (Assertion(target=wanted.target, name=wanted.name, arguments=wanted.arguments),)


def _remove_permission(permission: str) -> FunctionCall:
    return _user("remove_app_permission", app_name="messaging", permission=permission)


def _grant_permission(permission: str) -> Repair:
    return _on_phone("grant_app_permission", app_name="messaging", permission=permission)


_RESET_APN = (_on_phone("reset_apn_settings"), _on_phone("reboot_device"))

_PHONE_FAULTS = (
    _phone_fault(
        "airplane_mode_on",
        "airplane mode is on",
        (_user("turn_airplane_mode_on"),),
        _on_phone("toggle_airplane_mode"),
    ),
    _phone_fault(
        "unseat_sim_card", "the SIM card is not seated", (_user("unseat_sim_card"),), _on_phone("reseat_sim_card")
    ),
    _phone_fault("lock_sim_card_pin", "the SIM card is locked with a PIN", (_user("lock_sim_card", mode="pin"),)),
    _phone_fault("break_apn_settings", "the APN settings are broken", (_user("break_apn_settings"),), *_RESET_APN),
    _phone_fault("data_mode_off", "mobile data is off", (_user("turn_data_off"),), _on_phone("toggle_data")),
    _phone_fault(
        "data_saver_mode_on",
        "data saver is on",
        (_user("turn_data_saver_mode_on"),),
        _on_phone("toggle_data_saver_mode"),
    ),
    _phone_fault("bad_vpn", "a slow VPN is connected", (_user("break_vpn"),), _on_phone("disconnect_vpn")),
    _phone_fault(
        "bad_wifi_calling",
        "Wi-Fi calling captures picture messages",
        (_user("set_wifi_calling", enabled=True, mms_over_wifi=True),),
        _on_phone("toggle_wifi_calling"),
    ),
    _phone_fault("break_apn_mms_setting", "no MMSC URL is set", (_user("break_apn_mms_setting"),), *_RESET_APN),
    _phone_fault(
        "break_app_sms_permission",
        "the messaging app may not use SMS",
        (_remove_permission("sms"),),
        _grant_permission("sms"),
    ),
    _phone_fault(
        "break_app_storage_permission",
        "the messaging app may not use storage",
        (_remove_permission("storage"),),
        _grant_permission("storage"),
    ),
    _phone_fault(
        "break_app_both_permissions",
        "the messaging app may use neither SMS nor storage",
        (_remove_permission("sms"), _remove_permission("storage")),
        _grant_permission("sms"),
        _grant_permission("storage"),
    ),
)

_ACCOUNT_FAULTS = (
    Fault(
        "overdue_bill_suspension",
        "the line is suspended for an unpaid bill",
        lambda subject: _suspend(subject, contract_ended=False),
        _settle_and_resume,
    ),
    Fault(
        "contract_end_suspension",
        "the line is suspended and its contract has ended",
        lambda subject: _suspend(subject, contract_ended=True),
        fixable=False,
    ),
    Fault(
        "user_abroad_roaming_enabled_off",
        "abroad with roaming off on the phone",
        lambda subject: _abroad_with(subject, "turn_roaming_off", "enable_roaming"),
        lambda _: (_on_phone("toggle_roaming"),),
    ),
    Fault(
        "user_abroad_roaming_disabled_on",
        "abroad with roaming disabled on the line",
        lambda subject: _abroad_with(subject, "turn_roaming_on", "disable_roaming"),
        lambda subject: (_on_line("enable_roaming", subject),),
    ),
    Fault(
        "user_abroad_roaming_disabled_off",
        "abroad with roaming off on the phone and disabled on the line",
        lambda subject: _abroad_with(subject, "turn_roaming_off", "disable_roaming"),
        lambda subject: (_on_line("enable_roaming", subject), _on_phone("toggle_roaming")),
    ),
    Fault(
        "bad_network_preference",
        "the phone prefers a slow network",
        lambda subject: (_user("set_network_mode_preference", mode=subject.slow_mode),),
        lambda _: (_on_phone("set_network_mode_preference", mode="4g_5g_preferred"),),
    ),
    Fault(
        "data_usage_exceeded",
        "the data allowance is used up",
        _use_up,
        lambda subject: (_on_line("refuel_data", subject, gb_amount=subject.refuel_gb),),
        _refuelled_exactly,
    ),
    Fault(
        "data_usage_exceeded_no_refuel",
        "the data allowance and all extra data are used up",
        _use_up_with_refuel,
        fixable=False,
    ),
)

FAULTS: dict[str, Fault] = {each.name: each for each in (*_PHONE_FAULTS, *_ACCOUNT_FAULTS)}
"""Every fault by name."""


def fault(name: str) -> Fault:
    """Return the fault with this name.

    Raises:
        TaskError: If there is none; the message lists the valid names.
    """
    if name not in FAULTS:
        raise TaskError(f"no fault {name!r}; valid: {', '.join(FAULTS)}.{did_you_mean(name, FAULTS)}")
    return FAULTS[name]


def checked_faults(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of faults as a tuple.

    Raises:
        ConfigurationError: If one is unknown, or there is none; the message lists the valid names.
    """
    valid = ", ".join(FAULTS)
    if isinstance(names, str) or not names:
        raise ConfigurationError(f"faults is {names!r}; valid: a list of {valid}")
    for name in names:
        if name not in FAULTS:
            raise ConfigurationError(f"faults: no fault {name!r}; valid: {valid}.{did_you_mean(str(name), FAULTS)}")
    return tuple(names)
