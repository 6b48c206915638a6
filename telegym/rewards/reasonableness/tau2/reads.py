"""Which reading calls tau2 telecom's records and policy make worthwhile, beyond ruling out causes.

A read is right if it ruled out a cause, told a record that is needed, or verified what had been changed since the last
look. What none of these needs told nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from telegym.envs.tau2_telecom.case import Case
from telegym.envs.tau2_telecom.findings import Findings
from telegym.envs.tau2_telecom.scenario import Family
from telegym.rewards.reasonableness.hypotheses import Hypotheses
from telegym.rewards.reasonableness.tau2.beliefs import Beliefs

__all__ = ["IDENTIFYING", "TESTS", "Looks", "needed_record"]

IDENTIFYING = ("get_customer_by_phone", "get_customer_by_id", "get_customer_by_name")
"""Tools that tell who the customer is."""

TESTS: dict[Family, str] = {
    "service_issue": "check_status_bar",
    "mobile_data_issue": "run_speed_test",
    "mms_issue": "can_send_mms",
}
"""The test that tells whether what the customer complained of works."""

_SEARCHED = ("toggle_airplane_mode", "reseat_sim_card", "reboot_device", "set_network_mode_preference")
_APN = ("reset_apn_settings", "set_apn_settings", "reboot_device")
_VERIFIES: dict[str, tuple[str, ...]] = {
    "check_status_bar": (*_SEARCHED, *_APN, "toggle_data", "toggle_data_saver_mode", "connect_vpn", "disconnect_vpn"),
    "check_network_status": (*_SEARCHED, *_APN, "toggle_data", "toggle_roaming"),
    "check_sim_status": ("reseat_sim_card",),
    "check_network_mode_preference": ("set_network_mode_preference",),
    "check_data_restriction_status": ("toggle_data_saver_mode",),
    "check_apn_settings": _APN,
    "check_wifi_calling_status": ("toggle_wifi_calling",),
    "check_wifi_status": ("toggle_wifi",),
    "check_vpn_status": ("connect_vpn", "disconnect_vpn", "toggle_airplane_mode"),
    "check_app_permissions": ("grant_app_permission",),
    "check_app_status": ("grant_app_permission",),
    "check_payment_request": ("send_payment_request",),
    "get_bills_for_customer": ("send_payment_request", "make_payment"),
    "get_data_usage": ("refuel_data",),
}
"""What each read verifies: tools whose effect it shows."""
_LINE_CHANGES = ("resume_line", "suspend_line", "enable_roaming", "disable_roaming", "refuel_data")


class Looks:
    """Remembers what was changed, and looked at since.

    Args:
        family: What the customer complains of.
    """

    __slots__ = ("_changed", "_clock", "_looked", "_test")

    def __init__(self, family: Family) -> None:
        self._test = TESTS[family]
        self._changed: dict[str, int] = {"": 0}
        self._looked: dict[str, int] = {}
        self._clock = 0

    def changed(self, tool: str) -> None:
        """Note that something was changed."""
        self._clock += 1
        self._changed[tool] = self._changed[""] = self._clock

    def looked(self, tool: str, identifier: str) -> bool:
        """Return whether such a read was made before."""
        return f"{tool} {identifier}" in self._looked

    def verifies(self, tool: str, identifier: str, case: Case) -> bool:
        """Return whether a read shows something that was changed since the last such read, and note the read.

        Args:
            tool: The tool.
            identifier: What it was asked about, or an empty text.
            case: The case.
        """
        self._clock += 1
        key = f"{tool} {identifier}"
        last, self._looked[key] = self._looked.get(key, 0), self._clock
        changes = ("",) if tool == self._test else self._shown(tool, identifier, case)
        return any(self._changed.get(change, 0) > last for change in changes)

    def _shown(self, tool: str, identifier: str, case: Case) -> tuple[str, ...]:
        if tool != "get_details_by_id":
            return _VERIFIES.get(tool, ())
        if identifier == case.subject.line_id:
            return _LINE_CHANGES
        return ("send_payment_request", "make_payment") if identifier[:1] == "B" else ()


def needed_record(
    name: str, arguments: Mapping[str, Any], findings: Findings, case: Case, h: Hypotheses, b: Beliefs
) -> str:
    """Return what a carrier's record was needed for, or an empty text.

    Args:
        name: The tool.
        arguments: Its arguments.
        findings: What had been read before.
        case: The case.
        h: Which hypotheses were possible before.
        b: What they say.
    """
    if name in IDENTIFYING:
        return _identity(findings, case)
    wanted = _RECORDS.get(str(arguments.get("id"))[:1]) if name == "get_details_by_id" else None
    if wanted is not None:
        return wanted(str(arguments["id"]), findings, case, h, b)
    if name == "get_bills_for_customer" and not findings.bills_listed and h.possible(b.suspended | b.overdue):
        return "the line may be suspended for an unpaid bill"
    line_id = arguments.get("line_id")
    if name == "get_data_usage" and line_id == case.subject.line_id and line_id not in findings.usage:
        return "how much was used has to be read before more is sold" if h.possible(b.exceeded) else ""
    return ""


def _identity(findings: Findings, case: Case) -> str:
    known = findings.customer
    if known is not None and known.get("customer_id") == case.subject.customer_id:
        return ""
    return "the customer has to be identified first"


def _line(identifier: str, findings: Findings, case: Case, h: Hypotheses, b: Beliefs) -> str:
    if case.subject.line_id in findings.lines or identifier in findings.lines:
        return ""
    if not h.possible(b.suspended | b.line_roaming_off | b.exceeded):
        return ""
    listed = (findings.customer or {}).get("line_ids", ())
    return "the line of the case had to be found among the customer's" if identifier in listed else ""


def _plan(identifier: str, findings: Findings, case: Case, h: Hypotheses, b: Beliefs) -> str:
    line = findings.lines.get(case.subject.line_id)
    if identifier in findings.plans or line is None or line["plan_id"] != identifier or not h.possible(b.exceeded):
        return ""
    return "the plan tells how much data the line has and what more costs"


def _bill(identifier: str, findings: Findings, case: Case, h: Hypotheses, b: Beliefs) -> str:
    if identifier in findings.bills or findings.overdue() or not h.possible(b.suspended | b.overdue):
        return ""
    return "the line may be suspended for an unpaid bill"


def _customer(_: str, findings: Findings, case: Case, h: Hypotheses, b: Beliefs) -> str:
    return _identity(findings, case)


_RECORDS: dict[str, Callable[[str, Findings, Case, Hypotheses, Beliefs], str]] = {
    "L": _line,
    "P": _plan,
    "B": _bill,
    "C": _customer,
}
