"""What a phone's answers say: facts read from the results of the user's tools.

A fact is a name and a value: `airplane` is True, `sim` is "missing", `speed` is "excellent". Facts come from tool
results and from nowhere else; what a result does not state is not known.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["APPS", "FACT_TOOLS", "PERMISSIONS", "SWITCH_TOOLS", "TESTS", "VOLATILE", "WRITE_TOOLS", "read_facts"]

Fact = bool | str | tuple[str, ...]

PERMISSIONS = ("sms", "storage", "phone", "network")
"""Permissions an app can have."""
APPS = ("messaging", "browser")
"""Apps a phone comes with."""
SWITCH_TOOLS = {
    "airplane": "toggle_airplane_mode",
    "data": "toggle_data",
    "roaming": "toggle_roaming",
    "saver": "toggle_data_saver_mode",
    "wifi": "toggle_wifi",
    "wifi_calling": "toggle_wifi_calling",
}
"""Tools that flip a switch, by the fact they change."""
WRITE_TOOLS = (
    *SWITCH_TOOLS.values(),
    "set_network_mode_preference",
    "reseat_sim_card",
    "set_apn_settings",
    "reset_apn_settings",
    "connect_vpn",
    "disconnect_vpn",
    "grant_app_permission",
    "reboot_device",
    "make_payment",
)
"""Tools that change something."""
TESTS = ("can_send_mms", "run_speed_test", "check_status_bar", "check_network_status")
"""Tools that show whether something works."""
FACT_TOOLS = {
    "airplane": "check_network_status",
    "data": "check_network_status",
    "roaming": "check_network_status",
    "technology": "check_network_status",
    "connection": "check_network_status",
    "signal": "check_status_bar",
    "saver": "check_data_restriction_status",
    "wifi": "check_wifi_status",
    "wifi_calling": "check_wifi_calling_status",
    "vpn": "check_vpn_status",
    "sim": "check_sim_status",
    "mode": "check_network_mode_preference",
    "apn": "check_apn_settings",
    "mmsc": "check_apn_settings",
    "speed": "run_speed_test",
    "mms": "can_send_mms",
    "payment": "check_payment_request",
    "permissions": "check_app_permissions",
}
"""The tool that tells a fact."""
VOLATILE = ("signal", "technology", "connection", "speed", "mms", "payment")
"""Facts that can change by themselves, or by what the carrier does."""

_MODES = r"4g_5g_preferred|4g_only|3g_only|2g_only"
_NETWORK_LABELS = {
    "airplane": "airplane mode",
    "data": "mobile data enabled",
    "roaming": "data roaming enabled",
    "wifi": "wi-fi radio",
    "sim": "sim card status",
    "connection": "cellular connection",
    "technology": "cellular network type",
    "signal": "cellular signal",
}


def read_facts(tool: str, arguments: dict[str, Any], content: str) -> dict[str, Fact]:
    """Return what a tool result states.

    Args:
        tool: Name of the tool.
        arguments: Arguments of the call.
        content: The result, which is no error.
    """
    head, _, bar = content.partition("Status Bar:")
    facts: dict[str, Fact] = _bar_facts(bar) if bar.strip() else {}
    reader = _READERS.get(tool)
    if reader is not None:
        facts |= reader(head.strip(), arguments)
    return facts


def _bar_facts(bar: str) -> dict[str, Fact]:
    facts: dict[str, Fact] = {"airplane": "✈" in bar or "Airplane Mode" in bar, "vpn": "VPN Connected" in bar}
    if facts["airplane"]:
        return facts | {"signal": "none"}
    level = re.search(r"\b(No Signal|Poor|Fair|Good|Excellent)\b", bar)
    if level:
        facts["signal"] = "none" if level[1] == "No Signal" else level[1].lower()
    technology = re.search(r"\b([2-5]G)\b", bar)
    facts["technology"] = technology[1] if technology else "none"
    if technology and ("Data Enabled" in bar or "Data Disabled" in bar):
        facts["data"] = "Data Enabled" in bar
        if facts["data"]:
            facts["saver"] = "Data Saver" in bar
    return facts


def _network_facts(text: str, arguments: dict[str, Any]) -> dict[str, Fact]:
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    values = {label.strip().lower(): value.strip().lower() for label, value in lines.items()}
    facts: dict[str, Fact] = {}
    for fact, label in _NETWORK_LABELS.items():
        if label in values:
            value = values[label]
            facts[fact] = value in ("on", "yes") if fact in ("airplane", "data", "roaming", "wifi") else value
    if "technology" in facts:
        facts["technology"] = str(facts["technology"]).upper().replace("NONE", "none")
    if str(facts.get("sim", "")).startswith("locked"):
        facts["sim"] = "locked"
    return facts


def _switch_fact(fact: str) -> Any:
    def read(text: str, arguments: dict[str, Any]) -> dict[str, Fact]:
        found = re.search(r"\b(ON|OFF)\b", text)
        refused = re.search(r"\b(cannot|can't|unable|not possible)\b", text, re.I)
        return {fact: found[1] == "ON"} if found and not refused else {}

    return read


def _vpn_facts(text: str, arguments: dict[str, Any]) -> dict[str, Fact]:
    low = text.lower()
    if "off" in low or "not connected" in low or "disconnected" in low or re.search(r"\bno (active )?vpn", low):
        return {"vpn": False}
    return {"vpn": True} if "connected" in low or re.search(r"\bON\b", text) else {}


def _sim_facts(text: str, arguments: dict[str, Any]) -> dict[str, Fact]:
    low = text.lower()
    if "locked" in low or re.search(r"\b(pin|puk)\b", low):
        return {"sim": "locked"}
    if re.search(r"missing|none|no sim|not detected|not found", low):
        return {"sim": "missing"}
    return {"sim": "active"} if "active" in low or "working" in low else {}


def _mode_facts(text: str, arguments: dict[str, Any]) -> dict[str, Fact]:
    found = re.search(_MODES, text)
    refused = re.search(r"\b(valid|invalid|available|no network mode|not a)\b", text, re.I)
    return {"mode": found[0]} if found and not refused else {}


def _apn_facts(text: str, arguments: dict[str, Any]) -> dict[str, Fact]:
    facts: dict[str, Fact] = {}
    name = re.search(r"APN Name:\s*(\w+)", text, re.I)
    if name:
        facts["apn"] = name[1].lower()
    url = re.search(r"MMSC[^:\n]*:\s*(.+)", text)
    if url:
        facts["mmsc"] = "not set" not in url[1].lower() and url[1].strip().lower() not in ("", "none", "null")
    return facts


def _permission_facts(text: str, arguments: dict[str, Any]) -> dict[str, Fact]:
    if re.search(r"not found|no such|unknown app", text, re.I):
        return {}
    app = str(arguments.get("app_name", ""))
    rest = text.lower().replace(f"'{app.lower()}'", "", 1).replace(f"app: {app.lower()}", "", 1)
    listed = re.split(r"permissions?(?: for| granted)?\s*:", rest, maxsplit=1)[-1]
    return {f"permissions/{app}": tuple(name for name in PERMISSIONS if re.search(rf"\b{name}\b", listed))}


def _speed_facts(text: str, arguments: dict[str, Any]) -> dict[str, Fact]:
    found = re.search(r"\b(No Connection|Very Poor|Poor|Fair|Good|Excellent)\b", text, re.I)
    return {"speed": found[1].lower()} if found else {}


def _mms_facts(text: str, arguments: dict[str, Any]) -> dict[str, Fact]:
    return {"mms": re.search(r"\b(cannot|can't|can not|unable|not able|not)\b", text, re.I) is None}


def _payment_facts(text: str, arguments: dict[str, Any]) -> dict[str, Fact]:
    return {"payment": re.search(r"\b(no|not|none|don't)\b", text, re.I) is None}


_READERS: dict[str, Any] = {
    "check_network_status": _network_facts,
    "check_network_mode_preference": _mode_facts,
    "set_network_mode_preference": _mode_facts,
    "check_sim_status": _sim_facts,
    "check_data_restriction_status": _switch_fact("saver"),
    "check_apn_settings": _apn_facts,
    "check_wifi_status": _switch_fact("wifi"),
    "check_wifi_calling_status": _switch_fact("wifi_calling"),
    "check_vpn_status": _vpn_facts,
    "connect_vpn": _vpn_facts,
    "disconnect_vpn": _vpn_facts,
    "check_app_status": _permission_facts,
    "check_app_permissions": _permission_facts,
    "run_speed_test": _speed_facts,
    "can_send_mms": _mms_facts,
    "check_payment_request": _payment_facts,
    **{tool: _switch_fact(fact) for fact, tool in SWITCH_TOOLS.items()},
}
