"""The user's phone: the 30 tools of the user."""

# ruff: noqa: D417 - the world is no argument of the call; the agent reads these docstrings

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import WithJsonSchema

from telegym.core.errors import ToolError
from telegym.core.tool import Tool, tool
from telegym.envs.tau2_telecom import phone as behaviour
from telegym.envs.tau2_telecom.world import TelecomWorld
from telegym.tools.tau2_telecom._sync import synced

__all__ = ["USER_TOOLS"]

_OPTIONAL_TEXT = [{"type": "string"}, {"type": "null"}]
_APN_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "apn_name": {
                    "type": "string",
                    "enum": ["internet", "broken"],
                    "default": "internet",
                    "description": "Name of the access point.",
                },
                "reset_at_reboot": {
                    "type": "boolean",
                    "default": False,
                    "description": "Whether to reset everything at the next reboot.",
                },
                "mms_apn": {"anyOf": _OPTIONAL_TEXT, "default": "mms", "description": "Access point for MMS."},
                "mmsc_url": {
                    "anyOf": _OPTIONAL_TEXT,
                    "default": "http://mms.carrier.com/mms/wapenc",
                    "description": "Address of the MMS centre.",
                },
                "mms_proxy": {"anyOf": _OPTIONAL_TEXT, "default": None, "description": "Proxy for MMS."},
                "mms_port": {
                    "anyOf": [{"type": "integer"}, {"type": "null"}],
                    "default": None,
                    "description": "Port of the proxy.",
                },
            },
        },
        {"type": "object", "additionalProperties": True},
    ]
}


def _switch(on: bool) -> str:
    return "ON" if on else "OFF"


def _with_bar(world: TelecomWorld, text: str) -> str:
    return f"{text}\nStatus Bar: {behaviour.status_bar(world.state.phone)}"


@tool(requestor="user")
@synced
def check_status_bar(world: TelecomWorld) -> str:
    """Read the status bar: signal, network, data, Wi-Fi, VPN, battery."""
    return f"Status Bar: {behaviour.status_bar(world.state.phone)}"


@tool(requestor="user")
@synced
def check_network_status(world: TelecomWorld) -> str:
    """Read airplane mode, SIM card, cellular connection, data, phone roaming and Wi-Fi."""
    return behaviour.network_status(world.state.phone)


@tool(requestor="user")
@synced
def check_network_mode_preference(world: TelecomWorld) -> str:
    """Read which network generations the phone may use."""
    mode: Any = world.state.phone.network_mode_preference
    if not isinstance(mode, str):
        raise ToolError("the network mode preference cannot be read")
    return f"Network Mode Preference: {mode}"


@tool(requestor="user", kind="write", risk="low")
@synced
def set_network_mode_preference(
    world: TelecomWorld, mode: Literal["4g_5g_preferred", "4g_only", "3g_only", "2g_only"] | str
) -> str:
    """Choose which network generations the phone may use.

    Args:
        mode: One of 4g_5g_preferred, 4g_only, 3g_only, 2g_only.
    """
    if behaviour.set_network_mode_preference(world, mode):
        return _with_bar(world, f"Preferred Network Mode set to: {mode}")
    return _with_bar(world, f"'{mode}' is no network mode. Valid: {', '.join(behaviour.MODES)}")


@tool(requestor="user")
@synced
def run_speed_test(world: TelecomWorld) -> str:
    """Measure the download speed of mobile data."""
    speed, description = behaviour.speed_test(world.state.phone, world.state.surroundings)
    if speed is None:
        return f"Speed test failed: {description}."
    return f"Speed Test Result: {speed:.2f} Mbps ({description})."


@tool(requestor="user", kind="write", risk="low")
@synced
def toggle_airplane_mode(world: TelecomWorld) -> str:
    """Switch airplane mode on or off; switching it on ends all connections."""
    return _with_bar(world, f"Airplane Mode: {_switch(behaviour.toggle_airplane_mode(world))}")


@tool(requestor="user")
@synced
def check_sim_status(world: TelecomWorld) -> str:
    """Read whether the SIM card is active, missing or locked."""
    status = behaviour.effective_sim_status(world.state.phone)
    return _SIM_TEXTS[status]


_SIM_TEXTS = {
    "active": "SIM card: active and working.",
    "missing": "SIM card: none detected (missing).",
    "locked_pin": "SIM card: locked with a PIN.",
    "locked_puk": "SIM card: locked with a PUK.",
}


@tool(requestor="user", kind="write", risk="low")
@synced
def reseat_sim_card(world: TelecomWorld) -> str:
    """Take the SIM card out and put it back."""
    behaviour.reseat_sim_card(world)
    return _with_bar(world, "SIM card re-seated.")


@tool(requestor="user", kind="write", risk="low")
@synced
def toggle_data(world: TelecomWorld) -> str:
    """Switch mobile data on or off."""
    return _with_bar(world, f"Mobile Data: {_switch(behaviour.toggle_data(world))}")


@tool(requestor="user", kind="write", risk="low")
@synced
def toggle_roaming(world: TelecomWorld) -> str:
    """Switch the phone's data roaming on or off."""
    return _with_bar(world, f"Data Roaming: {_switch(behaviour.toggle_roaming(world))}")


@tool(requestor="user")
@synced
def check_data_restriction_status(world: TelecomWorld) -> str:
    """Read whether data saver is on."""
    return f"Data Saver: {_switch(world.state.phone.data_saver_mode)}"


@tool(requestor="user", kind="write", risk="low")
@synced
def toggle_data_saver_mode(world: TelecomWorld) -> str:
    """Switch data saver on or off."""
    return _with_bar(world, f"Data Saver: {_switch(behaviour.toggle_data_saver_mode(world))}")


@tool(requestor="user")
@synced
def check_apn_settings(world: TelecomWorld) -> str:
    """Read the access point name and the address for picture messages."""
    settings = world.state.phone.active_apn_settings
    return f"Current APN Name: {settings.apn_name}\nMMSC URL (for picture messages): {settings.mmsc_url or 'Not Set'}"


@tool(requestor="user", kind="write", risk="medium")
@synced
def set_apn_settings(world: TelecomWorld, apn_settings: Annotated[dict[str, Any], WithJsonSchema(_APN_SCHEMA)]) -> str:
    """Replace all access point settings at once; what is left out takes its default.

    Args:
        apn_settings: The new settings.
    """
    settings = behaviour.set_apn_settings(world, apn_settings)
    return _with_bar(world, f"APN settings set to: {settings.apn_name}")


@tool(requestor="user", kind="write", risk="low")
@synced
def reset_apn_settings(world: TelecomWorld) -> str:
    """Reset the access point settings; this takes effect at the next reboot."""
    behaviour.reset_apn_settings(world)
    return _with_bar(world, "APN settings will reset at the next reboot.")


@tool(requestor="user")
@synced
def check_wifi_status(world: TelecomWorld) -> str:
    """Read whether Wi-Fi is on and connected."""
    phone = world.state.phone
    if not phone.wifi_enabled:
        return "Wi-Fi: OFF"
    if not phone.wifi_connected:
        return "Wi-Fi: ON, not connected"
    return f"Wi-Fi: ON, connected to {phone.wifi_ssid}, signal {phone.wifi_signal_strength}"


@tool(requestor="user", kind="write", risk="low")
@synced
def toggle_wifi(world: TelecomWorld) -> str:
    """Switch Wi-Fi on or off; not possible in airplane mode."""
    on = behaviour.toggle_wifi(world)
    return _with_bar(world, "Wi-Fi cannot be changed in airplane mode." if on is None else f"Wi-Fi: {_switch(on)}")


@tool(requestor="user")
@synced
def check_wifi_calling_status(world: TelecomWorld) -> str:
    """Read whether Wi-Fi calling is on."""
    return f"Wi-Fi Calling: {_switch(world.state.phone.wifi_calling_enabled)}"


@tool(requestor="user", kind="write", risk="low")
@synced
def toggle_wifi_calling(world: TelecomWorld) -> str:
    """Switch Wi-Fi calling on or off."""
    return _with_bar(world, f"Wi-Fi Calling: {_switch(behaviour.toggle_wifi_calling(world))}")


@tool(requestor="user")
@synced
def check_vpn_status(world: TelecomWorld) -> str:
    """Read whether a VPN is connected, and how it performs."""
    phone = world.state.phone
    if not phone.vpn_connected:
        return "VPN: ON, not connected" if phone.vpn_enabled_setting else "VPN: OFF"
    details = phone.vpn_details
    if details is None:
        return "VPN: ON, connected, no details"
    performance = details.server_performance
    shown = f"<PerformanceLevel.{performance.upper()}: {performance!r}>"
    return (
        f"VPN: ON, connected. Details: {{'server_address': {details.server_address!r}, "
        f"'protocol': {details.protocol!r}, 'server_performance': {shown}}}"
    )


@tool(requestor="user", kind="write", risk="low")
@synced
def connect_vpn(world: TelecomWorld) -> str:
    """Connect the phone's VPN."""
    return _with_bar(world, "VPN connected.") if behaviour.connect_vpn(world) else "VPN was already connected."


@tool(requestor="user", kind="write", risk="low")
@synced
def disconnect_vpn(world: TelecomWorld) -> str:
    """Disconnect the VPN."""
    done = behaviour.disconnect_vpn(world)
    return _with_bar(world, "VPN disconnected." if done else "No VPN was connected.")


@tool(requestor="user")
@synced
def check_installed_apps(world: TelecomWorld) -> str:
    """List the apps on the phone."""
    return f"Installed apps: {', '.join(world.state.phone.app_statuses)}"


def _granted(world: TelecomWorld, app_name: str) -> list[str] | None:
    app = world.state.phone.app_statuses.get(app_name)
    return None if app is None else [name for name in behaviour.PERMISSIONS if getattr(app.permissions, name)]


@tool(requestor="user")
@synced
def check_app_status(world: TelecomWorld, app_name: str) -> str:
    """Read an app's permissions, one a line.

    Args:
        app_name: Name of the app, for example "messaging".
    """
    granted = _granted(world, app_name)
    if granted is None:
        return f"App '{app_name}' not found."
    lines = "".join(f"\n   - {name}" for name in granted) or "\n   - none"
    return f"Status for App: {app_name}\n - Permissions Granted:{lines}"


@tool(requestor="user")
@synced
def check_app_permissions(world: TelecomWorld, app_name: str) -> str:
    """Read an app's permissions in one line.

    Args:
        app_name: Name of the app, for example "messaging".
    """
    granted = _granted(world, app_name)
    if granted is None:
        return f"App '{app_name}' not found."
    return f"App '{app_name}' permissions: {', '.join(granted) or 'none'}"


@tool(requestor="user", kind="write", risk="low")
@synced
def grant_app_permission(world: TelecomWorld, app_name: str, permission: str) -> str:
    """Let an app use sms, storage, phone or network.

    Args:
        app_name: Name of the app, for example "messaging".
        permission: One of sms, storage, phone, network.
    """
    done, problem = behaviour.set_permission(world, app_name, permission, True)
    text = f"Success. Permission '{permission.lower()}' granted to app '{app_name}'."
    return _with_bar(world, text if done else f"Error. {problem}")


@tool(requestor="user")
@synced
def can_send_mms(world: TelecomWorld) -> str:
    """Try whether the messaging app can send picture messages."""
    able = behaviour.can_send_mms(world.state.phone, world.state.surroundings)
    return "MMS can be sent." if able else "MMS cannot be sent."


@tool(requestor="user", kind="write", risk="low")
@synced
def reboot_device(world: TelecomWorld) -> str:
    """Restart the phone."""
    reset = behaviour.reboot(world)
    return _with_bar(world, "APN settings reset.\nPhone restarted." if reset else "Phone restarted.")


@tool(requestor="user")
@synced
def check_payment_request(world: TelecomWorld) -> str:
    """Read which bill the carrier asks the user to pay."""
    request = world.state.surroundings.payment_request
    if request is None:
        return "No payment request."
    return f"Payment request: bill {request.bill_id}, {request.amount_due} USD"


@tool(requestor="user", kind="write", risk="medium")
@synced
def make_payment(world: TelecomWorld) -> str:
    """Pay the bill the carrier asked for."""
    request = behaviour.pay(world)
    if request is None:
        return "No payment request."
    return f"Paid {request.amount_due} USD for bill {request.bill_id}."


USER_TOOLS: tuple[Tool, ...] = (
    check_status_bar,
    check_network_status,
    check_network_mode_preference,
    set_network_mode_preference,
    run_speed_test,
    toggle_airplane_mode,
    check_sim_status,
    reseat_sim_card,
    toggle_data,
    toggle_roaming,
    check_data_restriction_status,
    toggle_data_saver_mode,
    check_apn_settings,
    set_apn_settings,
    reset_apn_settings,
    check_wifi_status,
    toggle_wifi,
    check_wifi_calling_status,
    toggle_wifi_calling,
    check_vpn_status,
    connect_vpn,
    disconnect_vpn,
    check_installed_apps,
    check_app_status,
    check_app_permissions,
    grant_app_permission,
    can_send_mms,
    reboot_device,
    check_payment_request,
    make_payment,
)
"""The user's tools, in the order in which they are listed."""
