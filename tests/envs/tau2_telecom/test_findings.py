"""Findings: reading the answers of our tools, and those of the original wording."""

from __future__ import annotations

import pytest

from telegym.envs.tau2_telecom.findings import Findings
from tests.envs.tau2_telecom.playing import identify, own, play, task_of

BAR = "Status Bar: 📶⁴ Excellent | 5G | 📱 Data Enabled | 🔽 Data Saver | 🔒 VPN Connected | 🔋 80%"


def seen(name: str, content: str, **arguments: object) -> Findings:
    findings = Findings()
    findings.observe(name, arguments, content)
    return findings


def test_nothing_is_known_at_first() -> None:
    findings = Findings()
    assert [findings.airplane, findings.sim, findings.apn, findings.customer] == [None] * 4


def test_status_bar() -> None:
    found = seen("check_status_bar", BAR)
    assert (found.service, found.technology, found.data_enabled, found.data_saver, found.vpn) == (
        True,
        "5G",
        *[True] * 3,
    )
    off = seen("check_status_bar", "Status Bar: ✈️ Airplane Mode | 🔋 80%")
    assert (off.airplane, off.service, off.data_enabled, off.vpn) == (True, False, None, False)
    none = seen("check_status_bar", "Status Bar: 📵 No Signal | 📵 Data Disabled | 🔋 80%")
    assert (none.airplane, none.service, none.data_enabled) == (False, False, None)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("SIM card: active and working.", "active"),
        ("Your SIM card is active and working.", "active"),
        ("No SIM card detected in the phone.", "missing"),
        ("SIM card: none detected (missing).", "missing"),
        ("The SIM card is locked with a PIN code.", "locked_pin"),
        ("SIM card: locked with a PUK.", "locked_puk"),
    ],
)
def test_sim_status(text: str, status: str) -> None:
    assert seen("check_sim_status", text).sim == status


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Speed Test Result: 275.00 Mbps (Excellent). Connection is very fast.", "excellent"),
        ("Speed Test Result: 0.05 Mbps (Very Poor).", "very poor"),
        ("Speed test failed: No Connection.", "no connection"),
    ],
)
def test_speed(text: str, verdict: str) -> None:
    assert seen("run_speed_test", text).speed == verdict


@pytest.mark.parametrize(
    ("text", "able"),
    [
        ("Your messaging app can send MMS messages.", True),
        ("Your messaging app cannot send MMS messages.", False),
        ("MMS can be sent.", True),
        ("MMS cannot be sent.", False),
    ],
)
def test_mms(text: str, able: bool) -> None:
    assert seen("can_send_mms", text).mms is able


@pytest.mark.parametrize(
    "text", ["App 'messaging' has permission for: sms, phone.", "App 'messaging' permissions: sms, phone"]
)
def test_permissions(text: str) -> None:
    findings = seen("check_app_permissions", text, app_name="messaging")
    assert findings.permissions == {"sms", "phone"}
    findings.observe("grant_app_permission", {"app_name": "messaging", "permission": "Storage"}, "Success. Granted.")
    assert findings.permissions == {"sms", "phone", "storage"}


def test_vpn() -> None:
    details = "VPN is ON and connected. Details: {'server_performance': <PerformanceLevel.POOR: 'poor'>}"
    assert (seen("check_vpn_status", details).vpn, seen("check_vpn_status", details).vpn_poor) == (True, True)
    assert seen("check_vpn_status", "VPN: ON, not connected").vpn is False
    assert seen("check_vpn_status", "VPN is turned OFF.").vpn is False


def test_a_change_makes_tests_stale() -> None:
    findings = seen("run_speed_test", "Speed test failed: No Connection.")
    findings.observe("check_vpn_status", {}, "VPN: OFF")
    assert findings.speed == "no connection"
    findings.observe("toggle_data", {}, f"Mobile Data: ON\n{BAR}")
    assert findings.speed is None and findings.data_enabled is True


def test_apn_reset_takes_effect_at_the_reboot() -> None:
    broken = "Current APN Name: broken\nMMSC URL (for picture messages): Not Set\n(Technical settings.)"
    findings = seen("check_apn_settings", broken)
    assert (findings.apn, findings.mmsc) == ("broken", False)
    findings.observe("reset_apn_settings", {}, "APN settings will reset at the next reboot.")
    assert findings.reset_pending and findings.apn == "broken"
    findings.observe("reboot_device", {}, "Phone restarted.")
    assert (findings.apn, findings.mmsc, findings.reset_pending) == ("internet", True, False)


def test_records_of_a_suspended_line() -> None:
    task = task_of("service_issue", "overdue_bill_suspension")
    mine = own(task)
    episode = play(
        task,
        identify(task),
        ("get_details_by_id", {"id": mine["line_id"]}),
        ("get_bills_for_customer", {"customer_id": mine["customer_id"]}),
    )
    findings = Findings()
    for record in episode.calls:
        findings.observe(record.call.name, record.call.arguments, record.content)
    assert findings.customer is not None and findings.customer["customer_id"] == mine["customer_id"]
    assert findings.lines[mine["line_id"]]["status"] == "Suspended"
    assert [bill["bill_id"][:1] for bill in findings.overdue()] == ["B"] and findings.bills_listed
