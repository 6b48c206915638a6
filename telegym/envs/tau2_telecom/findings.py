"""Findings: what a transcript reveals about a case.

Nothing here looks at the simulator. Tool results are read as an agent reads them: records as JSON, the phone's answers
by their labels and key words. The expert decides by findings, and scoring asks them whether a cause had been seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["TODAY", "Findings"]

TODAY = "2025-02-25"
"""The day on which the simulated carrier's clock stands."""

_BAR = re.compile(r"Status Bar: (.*)")
_LABEL = re.compile(r"^([A-Za-z][\w \-()]*): (.*)$", re.M)
_ON_OFF = re.compile(r"\b(ON|OFF)\b")
_TECHNOLOGY = re.compile(r"\b([2345]G)\b")
_SWITCHES = {
    "toggle_airplane_mode": "airplane",
    "toggle_data": "data_enabled",
    "toggle_roaming": "roaming",
    "toggle_data_saver_mode": "data_saver",
    "toggle_wifi_calling": "wifi_calling",
    "check_data_restriction_status": "data_saver",
    "check_wifi_calling_status": "wifi_calling",
}
"""Tools whose answer says ON or OFF, and the finding it is about."""
_SEARCHING = {
    *("toggle_airplane_mode", "toggle_data", "toggle_roaming", "reseat_sim_card", "reboot_device"),
    *("set_network_mode_preference", "set_apn_settings", "reset_apn_settings"),
}
"""Tools after which the phone has searched for a network again."""
_TESTS = ("run_speed_test", "can_send_mms")


@dataclass(slots=True)
class Findings:
    """What has been seen so far; None means not seen, or not since it may have changed."""

    customer: dict[str, Any] | None = None
    """The last customer looked up."""
    lines: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Line records by id."""
    bills: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Bill records by id."""
    bills_listed: bool = False
    """Whether the customer's bills were listed."""
    plans: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Plan records by id."""
    usage: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Data usage by line id, with numbers."""
    requested: str | None = None
    """Bill a payment request was sent for and that is not paid yet."""
    paid: set[str] = field(default_factory=set)
    """Bills paid, as far as the payment's own answer says."""
    airplane: bool | None = None
    """Whether airplane mode is on."""
    sim: str | None = None
    """`active`, `missing`, `locked_pin` or `locked_puk`."""
    service: bool | None = None
    """Whether the phone has a network."""
    technology: str | None = None
    """The network in use, for example `2G`; None without service."""
    data_enabled: bool | None = None
    """Whether the mobile data switch is on."""
    roaming: bool | None = None
    """Whether the phone's roaming switch is on."""
    data_saver: bool | None = None
    """Whether data saver is on."""
    vpn: bool | None = None
    """Whether a VPN is connected."""
    vpn_poor: bool | None = None
    """Whether the connected VPN performs poorly."""
    mode: str | None = None
    """The network mode preference."""
    apn: str | None = None
    """The name of the APN."""
    mmsc: bool | None = None
    """Whether an MMSC URL is set."""
    reset_pending: bool = False
    """Whether the APN settings will be reset at the next reboot."""
    search_pending: bool = False
    """Whether the line was resumed since the phone last searched for a network."""
    wifi_calling: bool | None = None
    """Whether Wi-Fi calling is on."""
    permissions: set[str] | None = None
    """Permissions of the messaging app."""
    speed: str | None = None
    """Verdict of the last speed test, in lower case, for example `excellent` or `no connection`."""
    mms: bool | None = None
    """Whether the last test could send an MMS."""
    transferred: bool = False
    """Whether the case was handed to a human."""

    def line_of(self, phone_number: str) -> dict[str, Any] | None:
        """Return the line record with this number, if it was seen."""
        return next((line for line in self.lines.values() if line["phone_number"] == phone_number), None)

    def overdue(self) -> list[dict[str, Any]]:
        """Return the bills seen as overdue."""
        return [bill for bill in self.bills.values() if bill["status"] == "Overdue"]

    def observe(self, name: str, arguments: Mapping[str, Any], content: str) -> None:
        """Take in the result of a successful call.

        Args:
            name: The tool.
            arguments: Its arguments.
            content: Its answer.
        """
        if name in _READERS:
            _READERS[name](self, arguments, content)
        elif name in _SWITCHES:
            found = _ON_OFF.search(content)
            if found:
                setattr(self, _SWITCHES[name], found[1] == "ON")
        if name in _SEARCHING:
            self.search_pending = False
        if not name.startswith(("check_", "get_")) and name not in _TESTS:
            self.speed = self.mms = None
        bar = _BAR.search(content)
        if bar:
            self._read_bar(bar[1])

    def _read_bar(self, bar: str) -> None:
        self.airplane = "Airplane Mode" in bar
        self._read_service(not self.airplane and "No Signal" not in bar, _TECHNOLOGY.search(bar))
        self.vpn = "VPN Connected" in bar
        if "Data Enabled" in bar:
            self.data_enabled, self.data_saver = True, "Data Saver" in bar
        elif self.service:
            self.data_enabled = False

    def _read_service(self, service: bool, technology: re.Match[str] | None) -> None:
        self.service = service
        self.technology = technology[1] if service and technology else None
        if service:
            self.sim = "active"

    def _read_network_status(self, _: Mapping[str, Any], content: str) -> None:
        labels = dict(_LABEL.findall(content))
        self.airplane = labels.get("Airplane Mode") == "ON"
        self.sim = labels.get("SIM Card Status")
        technology = _TECHNOLOGY.search(labels.get("Cellular Network Type", ""))
        self._read_service(labels.get("Cellular Connection") == "connected", technology)
        self.data_enabled = labels.get("Mobile Data Enabled") == "Yes"
        self.roaming = labels.get("Data Roaming Enabled") == "Yes"

    def _read_sim(self, _: Mapping[str, Any], content: str) -> None:
        text = content.lower()
        if "puk" in text:
            self.sim = "locked_puk"
        elif "pin" in text or "locked" in text:
            self.sim = "locked_pin"
        else:
            self.sim = "active" if "active" in text else "missing"

    def _read_mode(self, _: Mapping[str, Any], content: str) -> None:
        found = re.search(r"4g_5g_preferred|[234]g_only", content.partition("\n")[0])
        self.mode = found[0] if found else None

    def _read_apn(self, _: Mapping[str, Any], content: str) -> None:
        labels = dict(_LABEL.findall(content))
        self.apn = labels.get("Current APN Name")
        self.mmsc = labels.get("MMSC URL (for picture messages)") != "Not Set"

    def _read_vpn(self, _: Mapping[str, Any], content: str) -> None:
        self.vpn = bool(re.search(r"\bON\b", content)) and "not connected" not in content
        self.vpn_poor = "poor" in content.lower()

    def _read_permissions(self, arguments: Mapping[str, Any], content: str) -> None:
        if arguments.get("app_name") == "messaging":
            listed = content.partition(":")[2]
            self.permissions = set(re.findall(r"\b(sms|storage|phone|network)\b", listed))

    def _read_grant(self, arguments: Mapping[str, Any], content: str) -> None:
        if content.startswith("Success") and arguments.get("app_name") == "messaging" and self.permissions is not None:
            self.permissions.add(str(arguments.get("permission")).lower())

    def _read_speed(self, _: Mapping[str, Any], content: str) -> None:
        found = re.search(r"\(([A-Z][A-Za-z ]*)\)", content)
        self.speed = found[1].lower() if found else "no connection"

    def _read_mms(self, _: Mapping[str, Any], content: str) -> None:
        self.mms = not re.search(r"\b(cannot|can't|can not|not)\b", content)

    def _forget_apn(self, _: Mapping[str, Any], content: str) -> None:
        self.apn = self.mmsc = None
        self.reset_pending = False

    def _read_reset(self, _: Mapping[str, Any], content: str) -> None:
        self.reset_pending = True

    def _read_reboot(self, _: Mapping[str, Any], content: str) -> None:
        if self.reset_pending:
            self.apn, self.mmsc = "internet", True
        self.reset_pending = False

    def _read_reseat(self, _: Mapping[str, Any], content: str) -> None:
        self.sim = None

    def _read_disconnect(self, _: Mapping[str, Any], content: str) -> None:
        self.vpn = self.vpn_poor = False

    def _read_connect(self, _: Mapping[str, Any], content: str) -> None:
        self.vpn, self.vpn_poor = True, None

    def _read_customer(self, _: Mapping[str, Any], content: str) -> None:
        found = _json(content)
        if isinstance(found, list):
            found = found[0] if len(found) == 1 else None
        if isinstance(found, dict):
            self.customer = found

    def _read_details(self, arguments: Mapping[str, Any], content: str) -> None:
        found = _json(content)
        if not isinstance(found, dict):
            return
        if "line_id" in found:
            self.lines[found["line_id"]] = found
        elif "bill_id" in found:
            self._read_bill(found)
        elif "full_name" in found:
            self.customer = found
        elif "data_limit_gb" in found:
            self.plans[found["plan_id"]] = found

    def _read_bill(self, bill: dict[str, Any]) -> None:
        self.bills[bill["bill_id"]] = bill
        if bill["status"] == "Paid":
            self.paid.discard(bill["bill_id"])
        self.requested = bill["bill_id"] if bill["status"] == "Awaiting Payment" else self.requested

    def _read_bills(self, _: Mapping[str, Any], content: str) -> None:
        found = _json(content)
        self.bills_listed = isinstance(found, list)
        for bill in found if isinstance(found, list) else ():
            self._read_bill(bill)

    def _read_usage(self, _: Mapping[str, Any], content: str) -> None:
        found = _json(content)
        if isinstance(found, dict):
            numbers = ("data_used_gb", "data_limit_gb", "data_refueling_gb")
            self.usage[found["line_id"]] = {name: float(found[name]) for name in numbers}

    def _read_refuel(self, arguments: Mapping[str, Any], content: str) -> None:
        found = _json(content)
        known = self.usage.get(str(arguments.get("line_id")))
        if isinstance(found, dict) and known is not None:
            known["data_refueling_gb"] = float(found["new_data_refueling_gb"])

    def _read_line(self, arguments: Mapping[str, Any], content: str) -> None:
        found = _json(content)
        if isinstance(found, dict) and isinstance(found.get("line"), dict):
            self.lines[found["line"]["line_id"]] = found["line"]
            self.search_pending = True

    def _read_line_roaming(self, arguments: Mapping[str, Any], enabled: bool) -> None:
        line = self.lines.get(str(arguments.get("line_id")))
        if line is not None:
            self.lines[line["line_id"]] = line | {"roaming_enabled": enabled}

    def _read_enabled(self, arguments: Mapping[str, Any], content: str) -> None:
        self._read_line_roaming(arguments, True)

    def _read_disabled(self, arguments: Mapping[str, Any], content: str) -> None:
        self._read_line_roaming(arguments, False)

    def _read_request(self, arguments: Mapping[str, Any], content: str) -> None:
        bill_id = str(arguments.get("bill_id"))
        self.requested = bill_id
        if bill_id in self.bills:
            self.bills[bill_id] = self.bills[bill_id] | {"status": "Awaiting Payment"}

    def _read_payment(self, _: Mapping[str, Any], content: str) -> None:
        found = re.search(r"\bB\w+\b", content)
        if found:
            self.paid.add(found[0])
        self.requested = None

    def _read_transfer(self, _: Mapping[str, Any], content: str) -> None:
        self.transferred = True


def _json(content: str) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


_READERS = {
    "get_customer_by_phone": Findings._read_customer,
    "get_customer_by_id": Findings._read_customer,
    "get_customer_by_name": Findings._read_customer,
    "get_details_by_id": Findings._read_details,
    "get_bills_for_customer": Findings._read_bills,
    "get_data_usage": Findings._read_usage,
    "suspend_line": Findings._read_line,
    "resume_line": Findings._read_line,
    "enable_roaming": Findings._read_enabled,
    "disable_roaming": Findings._read_disabled,
    "refuel_data": Findings._read_refuel,
    "send_payment_request": Findings._read_request,
    "make_payment": Findings._read_payment,
    "transfer_to_human_agents": Findings._read_transfer,
    "check_network_status": Findings._read_network_status,
    "check_sim_status": Findings._read_sim,
    "check_network_mode_preference": Findings._read_mode,
    "set_network_mode_preference": Findings._read_mode,
    "check_apn_settings": Findings._read_apn,
    "set_apn_settings": Findings._forget_apn,
    "reset_apn_settings": Findings._read_reset,
    "reboot_device": Findings._read_reboot,
    "reseat_sim_card": Findings._read_reseat,
    "check_vpn_status": Findings._read_vpn,
    "connect_vpn": Findings._read_connect,
    "disconnect_vpn": Findings._read_disconnect,
    "check_app_permissions": Findings._read_permissions,
    "check_app_status": Findings._read_permissions,
    "grant_app_permission": Findings._read_grant,
    "run_speed_test": Findings._read_speed,
    "can_send_mms": Findings._read_mms,
}
