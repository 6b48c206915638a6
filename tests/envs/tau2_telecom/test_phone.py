from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telegym.envs.tau2_telecom import phone
from telegym.envs.tau2_telecom.state import ApnSettings, Phone, Surroundings, evolve
from telegym.envs.tau2_telecom.world import TelecomWorld
from tests.envs.tau2_telecom.small import Call, calls, small_world

DEFAULT_APN = {"apn_name": "internet", "mmsc_url": "http://mms.carrier.com/mms/wapenc", "mms_apn": "mms"}


def use(world: TelecomWorld, name: str, **arguments: Any) -> str:
    content, error = world.call_unchecked("user", name, arguments)
    assert not error, content
    return content


def fails(world: TelecomWorld, name: str, **arguments: Any) -> None:
    content, error = world.call_unchecked("user", name, arguments)
    assert error
    assert content.startswith("Error: ")


def prepare(world: TelecomWorld, name: str, **arguments: Any) -> None:
    world.run("user", name, arguments)


def connection(world: TelecomWorld) -> str:
    return world.phone.network_connection_status


def technology(world: TelecomWorld) -> str:
    return world.phone.network_technology_connected


def speed(world: TelecomWorld) -> tuple[float | None, str]:
    return phone.speed_test(world.phone, world.surroundings)


@pytest.mark.parametrize(
    ("technology", "strength", "plain", "saver", "poor_vpn", "both"),
    [
        ("5G", "excellent", (275.0, "Excellent"), (55.0, "Good"), (27.5, "Good"), (5.5, "Fair")),
        ("5G", "good", (220.0, "Excellent"), (44.0, "Good"), (22.0, "Fair"), (4.4, "Poor")),
        ("4G", "good", (44.0, "Good"), (8.8, "Fair"), (4.4, "Poor"), (0.88, "Very Poor")),
        ("3G", "fair", (1.5, "Poor"), (0.3, "Very Poor"), (0.15, "Very Poor"), (0.03, "Very Poor")),
        ("2G", "poor", (0.05, "Very Poor"), (0.01, "Very Poor"), (0.01, "Very Poor"), (0.0, "Very Poor")),
    ],
)
def test_speeds(technology: Any, strength: Any, plain: Any, saver: Any, poor_vpn: Any, both: Any) -> None:
    world = small_world()
    poor = evolve(world.state.default_vpn, server_performance="poor")
    base = evolve(world.phone, network_technology_connected=technology, network_signal_strength=strength)
    slowed = evolve(base, vpn_connected=True, vpn_details=poor)
    around = world.surroundings
    assert phone.speed_test(base, around) == plain
    assert phone.speed_test(evolve(base, data_saver_mode=True), around) == saver
    assert phone.speed_test(slowed, around) == poor_vpn
    assert phone.speed_test(evolve(slowed, data_saver_mode=True), around) == both
    assert phone.speed_test(evolve(base, vpn_connected=True, vpn_details=world.state.default_vpn), around) == plain


@pytest.mark.parametrize(
    ("mode", "found"),
    [
        ("4g_5g_preferred", ("5G", "excellent")),
        ("4g_only", ("4G", "good")),
        ("3g_only", ("3G", "fair")),
        ("2g_only", ("2G", "poor")),
    ],
)
def test_the_preference_decides_what_is_found(mode: Any, found: tuple[str, str]) -> None:
    world = small_world()
    assert use(world, "set_network_mode_preference", mode=mode).startswith(f"Preferred Network Mode set to: {mode}\n")
    assert (world.phone.network_technology_connected, world.phone.network_signal_strength) == found
    assert connection(world) == "connected"


def test_without_5g_the_preferred_mode_takes_4g() -> None:
    new = Phone()
    phone.search(new, Surroundings(signal_strength={"5G": "none", "4G": "fair"}))
    assert (new.network_technology_connected, new.network_signal_strength) == ("4G", "fair")
    new = Phone(network_mode_preference="3g_only")
    phone.search(new, Surroundings(signal_strength={}))
    assert (new.network_connection_status, new.network_signal_strength) == ("connected", "none")


@pytest.mark.parametrize(
    ("phone_fields", "line_active"),
    [
        ({"airplane_mode": True}, True),
        ({"sim_card_missing": True}, True),
        ({"sim_card_status": "locked_pin"}, True),
        ({"sim_card_status": "locked_puk"}, True),
        ({"active_apn_settings": ApnSettings(apn_name="broken")}, True),
        ({}, False),
    ],
)
def test_what_takes_service_away(phone_fields: Any, line_active: bool) -> None:
    new = Phone(**phone_fields)
    phone.search(new, Surroundings(line_active=line_active))
    assert new.network_connection_status == "no_service"
    assert (new.network_technology_connected, new.network_signal_strength) == ("none", "none")


def test_status_bar_items() -> None:
    world = small_world()
    assert use(world, "check_status_bar") == "Status Bar: 📶⁴ Excellent | 5G | 📱 Data Enabled | 🔋 80%"
    use(world, "toggle_data_saver_mode")
    use(world, "connect_vpn")
    text = "📶⁴ Excellent | 5G | 📱 Data Enabled | 🔽 Data Saver | 🔒 VPN Connected | 🔋 80%"
    assert phone.status_bar(world.phone) == text
    use(world, "toggle_data")
    assert phone.status_bar(world.phone) == "📶⁴ Excellent | 5G | 📵 Data Disabled | 🔒 VPN Connected | 🔋 80%"
    prepare(world, "unseat_sim_card")
    assert phone.status_bar(world.phone) == "📵 No Signal | 📵 Data Disabled | 🔒 VPN Connected | 🔋 80%"
    use(world, "toggle_airplane_mode")
    assert phone.status_bar(world.phone) == "✈\ufe0f Airplane Mode | 🔋 80%"
    use(world, "connect_vpn")
    assert phone.status_bar(world.phone) == "✈\ufe0f Airplane Mode | 🔒 VPN Connected | 🔋 80%"
    shown = evolve(world.phone, wifi_enabled=True, wifi_connected=True, wifi_ssid="Home")
    assert "📡 Connected to Home" in phone.status_bar(shown)


def test_network_status_lines() -> None:
    world = small_world()
    use(world, "toggle_roaming")
    use(world, "toggle_wifi")
    assert use(world, "check_network_status").split("\n") == [
        "Airplane Mode: OFF",
        "SIM Card Status: active",
        "Cellular Connection: connected",
        "Cellular Signal: excellent",
        "Cellular Network Type: 5G",
        "Mobile Data Enabled: Yes",
        "Data Roaming Enabled: Yes",
        "Wi-Fi Radio: ON",
        "Wi-Fi Connected: No",
    ]
    joined = evolve(world.phone, wifi_connected=True, wifi_ssid="Home")
    assert phone.network_status(joined).endswith("Wi-Fi Connected: Yes\nConnected Wi-Fi Network: Home")


@given(st.lists(calls, max_size=8), st.sampled_from(["toggle_data", "toggle_roaming"]))
def test_switches_that_search_are_involutions(before: list[Call], name: str) -> None:
    world = small_world()
    for call in before:
        world.call_unchecked(*call)
    use(world, "reboot_device")
    dump = world.user_dump()
    use(world, name)
    assert world.user_dump() != dump
    use(world, name)
    assert world.user_dump() == dump


@given(st.lists(calls, max_size=8), st.sampled_from(["toggle_data_saver_mode", "toggle_wifi_calling"]))
def test_switches_that_do_not_search_are_involutions(before: list[Call], name: str) -> None:
    world = small_world()
    for call in before:
        world.call_unchecked(*call)
    dump = world.user_dump()
    use(world, name)
    assert world.user_dump() != dump
    use(world, name)
    assert world.user_dump() == dump


@given(st.lists(calls, max_size=8))
def test_airplane_mode_twice_costs_only_connections(before: list[Call]) -> None:
    world = small_world()
    for call in before:
        world.call_unchecked(*call)
    use(world, "reboot_device")
    expected = world.user_dump()
    if not world.phone.airplane_mode:
        expected["device"].update(vpn_connected=False, vpn_details=None)
    use(world, "toggle_airplane_mode")
    use(world, "toggle_airplane_mode")
    if world.phone.airplane_mode:
        expected["device"].update(vpn_connected=False, vpn_details=None)
    assert world.user_dump() == expected


@given(st.lists(calls, max_size=12))
def test_a_search_finds_what_there_is_however_one_got_there(before: list[Call]) -> None:
    world = small_world()
    for call in before:
        world.call_unchecked(*call)
    state = world.state
    use(world, "reseat_sim_card")
    once = world.user_dump()
    use(world, "reseat_sim_card")
    assert world.user_dump() == once
    if state.phone.airplane_mode or not state.surroundings.line_active:
        assert connection(world) == "no_service"


@pytest.mark.parametrize(
    ("fault", "arguments", "useless", "repair"),
    [
        ("turn_airplane_mode_on", {}, ["reboot_device"], ["toggle_airplane_mode"]),
        ("unseat_sim_card", {}, ["reboot_device"], ["reseat_sim_card"]),
        (
            "break_apn_settings",
            {},
            ["reset_apn_settings", "toggle_airplane_mode", "toggle_airplane_mode"],
            ["reset_apn_settings", "reboot_device"],
        ),
    ],
)
def test_what_repairs_service(fault: str, arguments: dict[str, Any], useless: list[str], repair: list[str]) -> None:
    world = small_world()
    prepare(world, fault, **arguments)
    assert connection(world) == "no_service"
    for name in useless:
        use(world, name)
    assert connection(world) == "no_service"
    for name in repair:
        use(world, name)
    assert connection(world) == "connected"


def test_nothing_unlocks_a_sim_card_and_a_missing_one_hides_its_lock() -> None:
    world = small_world()
    prepare(world, "lock_sim_card", mode="pin")
    prepare(world, "unseat_sim_card")
    assert "missing" in use(world, "check_sim_status")
    for name in ("reseat_sim_card", "reboot_device", "reset_apn_settings", "reboot_device"):
        use(world, name)
    assert "PIN" in use(world, "check_sim_status")
    assert connection(world) == "no_service"


def test_apn_reset_waits_for_the_reboot() -> None:
    world = small_world()
    use(world, "set_apn_settings", apn_settings={"mmsc_url": None, "mms_port": 8080})
    use(world, "reset_apn_settings")
    assert world.phone.active_apn_settings.mmsc_url is None
    assert use(world, "reboot_device").startswith("APN settings reset.")
    assert world.phone.active_apn_settings == ApnSettings()
    assert not use(world, "reboot_device").startswith("APN")


def test_setting_the_apn_replaces_everything_at_once() -> None:
    world = small_world()
    prepare(world, "break_apn_settings")
    use(world, "reset_apn_settings")
    use(world, "set_apn_settings", apn_settings={"mms_port": "8080"})
    assert world.phone.active_apn_settings == ApnSettings(mms_port=8080)
    assert connection(world) == "connected"


@pytest.mark.parametrize("settings", [{"apn_name": "x"}, {"foo": 1}, {"mms_apn": 5}, {"mms_port": "many"}])
def test_unreadable_apn_settings_change_nothing(settings: dict[str, Any]) -> None:
    world = small_world()
    state = world.state
    fails(world, "set_apn_settings", apn_settings=settings)
    assert world.state is state


def test_apn_settings_that_are_no_object_stay_and_break_the_phone() -> None:
    world = small_world()
    fails(world, "set_apn_settings", apn_settings="internet")
    assert world.user_dump()["device"]["active_apn_settings"] == "internet"
    fails(world, "toggle_data")
    assert not world.phone.data_enabled
    for name in ("check_apn_settings", "reboot_device", "reset_apn_settings", "toggle_airplane_mode"):
        fails(world, name)
    use(world, "check_status_bar")
    world.state_hash()
    use(world, "set_apn_settings", apn_settings={})
    assert connection(world) == "no_service"
    use(world, "toggle_airplane_mode")
    assert connection(world) == "connected"


def test_a_mode_that_is_no_text_stays_and_falls_back_to_4g() -> None:
    world = small_world()
    fails(world, "set_network_mode_preference", mode=5)
    assert world.user_dump()["device"]["network_mode_preference"] == 5
    assert technology(world) == "4G"
    fails(world, "check_network_mode_preference")
    use(world, "set_network_mode_preference", mode="3g_only")
    assert technology(world) == "3G"


def test_an_unknown_mode_is_answered_and_changes_nothing() -> None:
    world = small_world()
    state = world.state
    text = use(world, "set_network_mode_preference", mode="5g_only")
    assert all(mode in text for mode in phone.MODES)
    assert "Status Bar: " in text
    assert world.state is state


def test_an_empty_mms_address_is_shown_as_not_set_but_works() -> None:
    world = small_world()
    use(world, "set_apn_settings", apn_settings={"mmsc_url": ""})
    assert "MMSC URL (for picture messages): Not Set" in use(world, "check_apn_settings")
    assert use(world, "can_send_mms") == "MMS can be sent."
    use(world, "set_apn_settings", apn_settings={"mmsc_url": None})
    assert use(world, "can_send_mms") == "MMS cannot be sent."


def test_what_picture_messages_need() -> None:
    world = small_world()
    for mode, able in (("2g_only", False), ("3g_only", True), ("4g_5g_preferred", True)):
        use(world, "set_network_mode_preference", mode=mode)
        assert phone.can_send_mms(world.phone, world.surroundings) is able
    for permission in ("sms", "storage"):
        prepare(world, "remove_app_permission", app_name="messaging", permission=permission.upper())
        assert use(world, "can_send_mms") == "MMS cannot be sent."
        assert use(world, "grant_app_permission", app_name="messaging", permission=permission).startswith("Success. ")
        assert use(world, "can_send_mms") == "MMS can be sent."
    gone = evolve(world.phone, app_statuses={})
    assert not phone.can_send_mms(gone, world.surroundings)


def test_wifi_calling_blocks_mms_only_with_its_hidden_flag() -> None:
    world = small_world()
    use(world, "toggle_wifi_calling")
    assert use(world, "can_send_mms") == "MMS can be sent."
    prepare(world, "set_wifi_calling", enabled=True, mms_over_wifi=True)
    assert use(world, "can_send_mms") == "MMS cannot be sent."
    use(world, "toggle_wifi_calling")
    assert use(world, "can_send_mms") == "MMS can be sent."
    use(world, "toggle_wifi_calling")
    assert use(world, "can_send_mms") == "MMS cannot be sent."


def test_permissions_that_cannot_be_granted_are_soft_failures() -> None:
    world = small_world()
    state = world.state
    assert use(world, "grant_app_permission", app_name="messaging", permission="camera").startswith("Error. ")
    assert use(world, "grant_app_permission", app_name="Messaging", permission="sms").startswith("Error. ")
    assert world.state is state
    fails(world, "grant_app_permission", app_name="messaging", permission=5)
    fails(world, "check_app_status", app_name=["messaging"])
    assert "not found" in use(world, "check_app_status", app_name=5)


def test_app_permissions_are_listed_in_order() -> None:
    world = small_world()
    lines = use(world, "check_app_status", app_name="messaging").split("\n")
    assert lines[0] == "Status for App: messaging"
    assert [line.strip() for line in lines[2:]] == ["- sms", "- storage", "- phone"]
    assert use(world, "check_app_permissions", app_name="browser").endswith(": storage, network")
    for permission in ("storage", "network"):
        prepare(world, "remove_app_permission", app_name="browser", permission=permission)
    assert use(world, "check_app_permissions", app_name="browser").endswith(": none")
    assert use(world, "check_app_status", app_name="browser").endswith("- none")


def test_abroad_data_needs_both_sides_of_roaming() -> None:
    world = small_world()
    prepare(world, "set_user_location", abroad=True)
    assert speed(world) == (None, "No Connection")
    assert use(world, "run_speed_test") == "Speed test failed: No Connection."
    use(world, "toggle_roaming")
    assert use(world, "run_speed_test") == "Speed Test Result: 275.00 Mbps (Excellent)."
    world.run("assistant", "disable_roaming", {"customer_id": "C1", "line_id": "L1"})
    assert speed(world) == (None, "No Connection")
    assert connection(world) == "connected"


def test_wifi_cannot_be_switched_in_airplane_mode_and_never_connects() -> None:
    world = small_world()
    use(world, "toggle_wifi")
    assert use(world, "check_wifi_status") == "Wi-Fi: ON, not connected"
    use(world, "toggle_airplane_mode")
    state = world.state
    assert "airplane mode" in use(world, "toggle_wifi")
    assert world.state is state
    assert world.phone.wifi_enabled


def test_a_broken_vpn_profile_stays_broken() -> None:
    world = small_world()
    use(world, "connect_vpn")
    prepare(world, "break_vpn")
    fork = world.fork()
    assert "<PerformanceLevel.POOR: 'poor'>" in use(world, "check_vpn_status")
    use(world, "disconnect_vpn")
    assert use(world, "check_vpn_status") == "VPN: OFF"
    use(world, "connect_vpn")
    assert speed(world) == (27.5, "Good")
    assert speed(fork) == (27.5, "Good")
    other = small_world()
    use(other, "connect_vpn")
    assert speed(other) == (275.0, "Excellent")


def test_a_vpn_of_its_own_does_not_spoil_the_default_profile() -> None:
    world = small_world()
    own = evolve(world.state.default_vpn, server_address="10.0.0.1")
    world.set_phone(evolve(world.phone, vpn_connected=True, vpn_details=own))
    prepare(world, "break_vpn")
    assert speed(world) == (27.5, "Good")
    use(world, "disconnect_vpn")
    use(world, "connect_vpn")
    assert speed(world) == (275.0, "Excellent")


def test_a_poor_default_vpn_changes_the_hash_of_the_state() -> None:
    world, broken = small_world(), small_world()
    prepare(broken, "break_vpn")
    use(broken, "disconnect_vpn")
    assert broken.user_dump() == world.user_dump()
    assert broken.state_hash() != world.state_hash()


def test_vpn_survives_in_airplane_mode_only_if_connected_there() -> None:
    world = small_world()
    use(world, "connect_vpn")
    use(world, "toggle_airplane_mode")
    assert not world.phone.vpn_connected
    use(world, "connect_vpn")
    assert use(world, "connect_vpn") == "VPN was already connected."
    use(world, "toggle_airplane_mode")
    assert world.phone.vpn_connected


def test_resuming_a_line_needs_a_search() -> None:
    world = small_world()
    owned = {"customer_id": "C1", "line_id": "L1"}
    world.run("assistant", "suspend_line", {**owned, "reason": "travel"})
    assert not world.surroundings.line_active
    assert connection(world) == "connected"
    use(world, "toggle_data_saver_mode")
    assert connection(world) == "connected"
    use(world, "toggle_data")
    assert connection(world) == "no_service"
    world.run("assistant", "resume_line", owned)
    assert connection(world) == "no_service"
    use(world, "reset_apn_settings")
    assert connection(world) == "connected"


def test_without_a_request_there_is_nothing_to_pay() -> None:
    world = small_world()
    state = world.state
    assert use(world, "make_payment") == use(world, "check_payment_request") == "No payment request."
    assert world.state is state
