"""How the phone behaves: network search, data, picture messages, and what its switches do.

Functions that take a `Phone` only read it, except `search`, which completes a fresh copy. Functions that take a world
change it. What the carrier's side means for the phone is written into the surroundings by `TelecomWorld.sync`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from telegym.core.errors import TaskError, ToolError
from telegym.envs.tau2_telecom.state import ApnSettings, PaymentRequest, Phone, Surroundings, evolve, parse_record

if TYPE_CHECKING:
    from telegym.envs.tau2_telecom.world import TelecomWorld

__all__ = [
    "MODES",
    "NO_CONNECTION",
    "PERMISSIONS",
    "can_send_mms",
    "connect_vpn",
    "data_works",
    "disconnect_vpn",
    "effective_sim_status",
    "network_status",
    "pay",
    "reboot",
    "research",
    "reseat_sim_card",
    "reset_apn_settings",
    "search",
    "set_apn_settings",
    "set_network_mode_preference",
    "set_permission",
    "settle",
    "speed_test",
    "status_bar",
    "toggle_airplane_mode",
    "toggle_data",
    "toggle_data_saver_mode",
    "toggle_roaming",
    "toggle_wifi",
    "toggle_wifi_calling",
]

MODES = ("4g_5g_preferred", "4g_only", "3g_only", "2g_only")
"""Network mode preferences."""
PERMISSIONS = ("sms", "storage", "phone", "network")
"""App permissions, in the order in which they are listed."""

_ONLY = {"4g_only": "4G", "3g_only": "3G", "2g_only": "2G"}
_SIGNAL_ITEMS = {
    "none": "📵 No Signal",
    "poor": "📶¹ Poor",
    "fair": "📶² Fair",
    "good": "📶³ Good",
    "excellent": "📶⁴ Excellent",
}
_SPEED_RANGES = {"none": (0.0, 0.0), "2G": (0.1, 0.4), "3G": (1.0, 5.0), "4G": (10.0, 100.0), "5G": (50.0, 500.0)}
_SIGNAL_FACTORS = {"none": 0.0, "poor": 0.2, "fair": 0.5, "good": 0.8, "excellent": 1.0}
_POOR_VPN_FACTOR = 0.1
_DATA_SAVER_FACTOR = 0.2
_DESCRIPTIONS = ((1.0, "Very Poor"), (5.0, "Poor"), (25.0, "Fair"), (100.0, "Good"))
NO_CONNECTION = "No Connection"
"""What a speed test says when no data flows."""


def effective_sim_status(phone: Phone) -> str:
    """Return what the phone sees of its SIM card: an unseated card hides its lock."""
    return "missing" if phone.sim_card_missing else phone.sim_card_status


def search(phone: Phone, surroundings: Surroundings) -> None:
    """Search for a network and write the result into `phone`, a copy that is not shared yet."""
    new = cast(Any, phone)
    if phone.sim_card_missing or phone.sim_card_status != "active":
        _lose_service(new)
    else:
        _find_service(new, surroundings)
    if phone.airplane_mode:
        _lose_service(new)
    if phone.active_apn_settings.apn_name == "broken":
        _lose_service(new)
    if not surroundings.line_active:
        _lose_service(new)


def _lose_service(phone: Any) -> None:
    phone.network_connection_status = "no_service"
    phone.network_technology_connected = "none"
    phone.network_signal_strength = "none"


def _find_service(phone: Any, surroundings: Surroundings) -> None:
    strengths = cast(dict[str, str], surroundings.signal_strength)
    mode = phone.network_mode_preference
    technology, strength = "5G", strengths.get("5G", "none")
    if mode != "4g_5g_preferred" or strength == "none":
        technology = _ONLY.get(mode, "4G") if isinstance(mode, str) else "4G"
        strength = strengths.get(technology, "none")
    phone.network_connection_status = "connected"
    phone.network_technology_connected = technology
    phone.network_signal_strength = strength


def status_bar(phone: Phone) -> str:
    """Return the items of the status bar."""
    try:
        return phone._bar
    except AttributeError:
        phone._bar = text = _status_bar(phone)
        return text


def _status_bar(phone: Phone) -> str:
    items = ["✈️ Airplane Mode"] if phone.airplane_mode else _cellular_items(phone)
    if phone.wifi_enabled and phone.wifi_connected:
        items.append(f"📡 Connected to {phone.wifi_ssid}" if phone.wifi_ssid else "📡 Enabled")
    if phone.vpn_connected:
        items.append("🔒 VPN Connected")
    items.append(f"🔋 {phone.battery_level}%")
    return " | ".join(items)


def _cellular_items(phone: Phone) -> list[str]:
    items = [_SIGNAL_ITEMS[phone.network_signal_strength]]
    technology = phone.network_technology_connected
    if technology != "none":
        items.append(technology)
    if phone.data_enabled and technology != "none":
        items.append("📱 Data Enabled")
        if phone.data_saver_mode:
            items.append("🔽 Data Saver")
    else:
        items.append("📵 Data Disabled")
    return items


def network_status(phone: Phone) -> str:
    """Return the lines of the network status page."""
    text = (
        f"Airplane Mode: {'ON' if phone.airplane_mode else 'OFF'}\n"
        f"SIM Card Status: {effective_sim_status(phone)}\n"
        f"Cellular Connection: {phone.network_connection_status}\n"
        f"Cellular Signal: {phone.network_signal_strength}\n"
        f"Cellular Network Type: {phone.network_technology_connected}\n"
        f"Mobile Data Enabled: {'Yes' if phone.data_enabled else 'No'}\n"
        f"Data Roaming Enabled: {'Yes' if phone.roaming_enabled else 'No'}\n"
        f"Wi-Fi Radio: {'ON' if phone.wifi_enabled else 'OFF'}\n"
        f"Wi-Fi Connected: {'Yes' if phone.wifi_connected else 'No'}"
    )
    return f"{text}\nConnected Wi-Fi Network: {phone.wifi_ssid}" if phone.wifi_connected else text


def data_works(phone: Phone, surroundings: Surroundings) -> bool:
    """Return whether mobile data flows."""
    if phone.airplane_mode or phone.network_signal_strength == "none":
        return False
    if phone.network_connection_status == "no_service":
        return False
    if surroundings.is_abroad and not (phone.roaming_enabled and surroundings.roaming_allowed):
        return False
    return bool(phone.data_enabled) and not surroundings.mobile_data_usage_exceeded


def speed_test(phone: Phone, surroundings: Surroundings) -> tuple[float | None, str]:
    """Return the download speed in Mbps (None without a connection) and its description."""
    if not data_works(phone, surroundings):
        return None, NO_CONNECTION
    low, high = _SPEED_RANGES[phone.network_technology_connected]
    factor = 1.0
    if phone.vpn_connected and phone.vpn_details is not None and phone.vpn_details.server_performance == "poor":
        factor *= _POOR_VPN_FACTOR
    if phone.data_saver_mode:
        factor *= _DATA_SAVER_FACTOR
    speed = round((low + high) / 2 * _SIGNAL_FACTORS[phone.network_signal_strength] * factor, 2)
    return speed, next((name for limit, name in _DESCRIPTIONS if speed < limit), "Excellent")


def can_send_mms(phone: Phone, surroundings: Surroundings) -> bool:
    """Return whether the messaging app can send a picture message."""
    if not data_works(phone, surroundings) or phone.network_technology_connected == "2G":
        return False
    if phone.wifi_calling_enabled and phone.wifi_calling_mms_over_wifi:
        return False
    if phone.active_apn_settings.mmsc_url is None:
        return False
    app = phone.app_statuses.get("messaging")
    return app is not None and bool(app.permissions.storage and app.permissions.sms)


def research(world: TelecomWorld) -> None:
    """Search for a network again."""
    settle(world, world.state.phone.copy())


def settle(world: TelecomWorld, phone: Phone) -> None:
    """Put a changed copy of the phone in place, then search: the change stays even if the search fails."""
    world.set_phone(phone)
    search(phone, world.state.surroundings)


def toggle_airplane_mode(world: TelecomWorld) -> bool:
    """Flip airplane mode and return whether it is on now; turning it on ends Wi-Fi and VPN connections."""
    phone = world.state.phone.copy()
    phone.airplane_mode = not phone.airplane_mode
    if phone.airplane_mode:
        _disconnect_wifi(phone)
        if phone.vpn_connected:
            phone.vpn_connected = False
            phone.vpn_details = None
    elif phone.wifi_enabled:
        _disconnect_wifi(phone)
    settle(world, phone)
    return phone.airplane_mode


def _disconnect_wifi(phone: Phone) -> None:
    phone.wifi_connected = False
    phone.wifi_ssid = None
    phone.wifi_signal_strength = "none"


def toggle_data(world: TelecomWorld) -> bool:
    """Flip the mobile data switch and return whether it is on now."""
    phone = world.state.phone.copy()
    phone.data_enabled = not phone.data_enabled
    settle(world, phone)
    return phone.data_enabled


def toggle_roaming(world: TelecomWorld) -> bool:
    """Flip the phone's roaming switch and return whether it is on now."""
    phone = world.state.phone.copy()
    phone.roaming_enabled = not phone.roaming_enabled
    settle(world, phone)
    return phone.roaming_enabled


def toggle_data_saver_mode(world: TelecomWorld) -> bool:
    """Flip data saver and return whether it is on now."""
    phone = world.state.phone.copy()
    phone.data_saver_mode = not phone.data_saver_mode
    world.set_phone(phone)
    return phone.data_saver_mode


def toggle_wifi(world: TelecomWorld) -> bool | None:
    """Flip Wi-Fi and return whether it is on now, or None in airplane mode, which forbids it."""
    if world.state.phone.airplane_mode:
        return None
    phone = world.state.phone.copy()
    phone.wifi_enabled = not phone.wifi_enabled
    if not phone.wifi_enabled:
        _disconnect_wifi(phone)
    world.set_phone(phone)
    return phone.wifi_enabled


def toggle_wifi_calling(world: TelecomWorld) -> bool:
    """Flip Wi-Fi calling and return whether it is on now."""
    phone = world.state.phone.copy()
    phone.wifi_calling_enabled = not phone.wifi_calling_enabled
    world.set_phone(phone)
    return phone.wifi_calling_enabled


def reseat_sim_card(world: TelecomWorld) -> None:
    """Take the SIM card out and put it back."""
    phone = world.state.phone.copy()
    phone.sim_card_missing = False
    settle(world, phone)


def set_network_mode_preference(world: TelecomWorld, mode: Any) -> bool:
    """Store a network mode and search; return False, changing nothing, for a name that is no mode.

    Raises:
        ToolError: If `mode` is not a string. It is stored all the same: validate before calling.
    """
    if isinstance(mode, str) and mode not in MODES:
        return False
    phone = world.state.phone.copy()
    phone.network_mode_preference = cast(Any, mode)
    settle(world, phone)
    if not isinstance(mode, str):
        raise ToolError(f"network mode must be a string, not {mode!r}")
    return True


def set_apn_settings(world: TelecomWorld, settings: Any) -> ApnSettings:
    """Replace all APN settings; omitted fields take their defaults.

    Raises:
        ToolError: If `settings` has unknown or mistyped fields; or is not an object, and is stored all the same.
    """
    if isinstance(settings, dict):
        try:
            settings = parse_record(ApnSettings, settings, "apn_settings")
        except (TaskError, ValidationError) as error:
            raise ToolError(str(error)) from None
    phone = world.state.phone.copy()
    phone.active_apn_settings = settings
    settle(world, phone)
    return cast(ApnSettings, settings)


def reset_apn_settings(world: TelecomWorld) -> None:
    """Mark the APN settings for a reset at the next reboot."""
    phone = world.state.phone.copy()
    phone.active_apn_settings = evolve(phone.active_apn_settings, reset_at_reboot=True)
    settle(world, phone)


def reboot(world: TelecomWorld) -> bool:
    """Restart the phone; return whether the APN settings were reset."""
    phone = world.state.phone.copy()
    reset = phone.active_apn_settings.reset_at_reboot
    if reset:
        phone.active_apn_settings = ApnSettings()
    settle(world, phone)
    return reset


def connect_vpn(world: TelecomWorld) -> bool:
    """Connect the default VPN profile; return False if a VPN is connected already."""
    state = world.state
    if state.phone.vpn_connected:
        return False
    phone = state.phone.copy()
    phone.vpn_connected = True
    phone.vpn_details = state.default_vpn
    world.set_phone(phone)
    return True


def disconnect_vpn(world: TelecomWorld) -> bool:
    """Disconnect the VPN; return False if none is connected."""
    if not world.state.phone.vpn_connected:
        return False
    phone = world.state.phone.copy()
    phone.vpn_connected = False
    phone.vpn_details = None
    world.set_phone(phone)
    return True


def set_permission(world: TelecomWorld, app_name: str, permission: str, granted: bool) -> tuple[bool, str]:
    """Grant or remove an app permission; return whether that was possible and, if not, why."""
    permission = permission.lower()
    app = world.state.phone.app_statuses.get(app_name)
    if app is None:
        return False, f"App '{app_name}' not found."
    if permission not in PERMISSIONS:
        return False, f"Unknown permission '{permission}'; available: {', '.join(PERMISSIONS)}."
    phone = world.state.phone.copy()
    changed = evolve(app, permissions=evolve(app.permissions, **{permission: granted}))
    phone.app_statuses = {**phone.app_statuses, app_name: changed}
    world.set_phone(phone)
    return True, ""


def pay(world: TelecomWorld) -> PaymentRequest | None:
    """Pay the bill the carrier asked for; return the request, or None if there is none."""
    request = world.state.surroundings.payment_request
    if request is not None:
        world.set_surroundings(payment_request=evolve(request, paid=True))
    return request
