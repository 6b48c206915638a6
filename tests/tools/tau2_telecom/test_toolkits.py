from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from telegym.core.messages import Requestor, ToolCall
from telegym.core.tool import CallError, Toolkit, ToolOutcome
from telegym.envs.tau2_telecom.world import TelecomWorld
from telegym.tools.tau2_telecom import AGENT_TOOLS, USER_TOOLS, agent_toolkit, dual_toolkit, solo_toolkit
from tests.envs.tau2_telecom.small import small_world

GOLDEN = Path(__file__).parent / "schemas.json"

PARAMETERS = {
    "get_customer_by_phone": ["phone_number"],
    "get_customer_by_id": ["customer_id"],
    "get_customer_by_name": ["full_name", "dob"],
    "get_details_by_id": ["id"],
    "suspend_line": ["customer_id", "line_id", "reason"],
    "resume_line": ["customer_id", "line_id"],
    "get_bills_for_customer": ["customer_id", "limit"],
    "send_payment_request": ["customer_id", "bill_id"],
    "get_data_usage": ["customer_id", "line_id"],
    "enable_roaming": ["customer_id", "line_id"],
    "disable_roaming": ["customer_id", "line_id"],
    "transfer_to_human_agents": ["summary"],
    "refuel_data": ["customer_id", "line_id", "gb_amount"],
    "check_status_bar": [],
    "check_network_status": [],
    "check_network_mode_preference": [],
    "set_network_mode_preference": ["mode"],
    "run_speed_test": [],
    "toggle_airplane_mode": [],
    "check_sim_status": [],
    "reseat_sim_card": [],
    "toggle_data": [],
    "toggle_roaming": [],
    "check_data_restriction_status": [],
    "toggle_data_saver_mode": [],
    "check_apn_settings": [],
    "set_apn_settings": ["apn_settings"],
    "reset_apn_settings": [],
    "check_wifi_status": [],
    "toggle_wifi": [],
    "check_wifi_calling_status": [],
    "toggle_wifi_calling": [],
    "check_vpn_status": [],
    "connect_vpn": [],
    "disconnect_vpn": [],
    "check_installed_apps": [],
    "check_app_status": ["app_name"],
    "check_app_permissions": ["app_name"],
    "grant_app_permission": ["app_name", "permission"],
    "can_send_mms": [],
    "reboot_device": [],
    "check_payment_request": [],
    "make_payment": [],
}
"""Names and parameters as published, in the order of listing."""

WRITES = {name for name in PARAMETERS if name.split("_")[0] in ("set", "toggle", "reset", "grant", "reseat", "make")}
WRITES |= {"connect_vpn", "disconnect_vpn", "reboot_device", "suspend_line", "resume_line", "send_payment_request"}
WRITES |= {"enable_roaming", "disable_roaming", "refuel_data"}


def test_tools_are_those_published_in_their_order() -> None:
    tools = [*AGENT_TOOLS, *USER_TOOLS]
    assert {tool.name: list(tool.parameters["properties"]) for tool in tools} == PARAMETERS
    assert [tool.name for tool in tools] == list(PARAMETERS)
    assert (len(AGENT_TOOLS), len(USER_TOOLS)) == (13, 30)
    assert {tool.name for tool in tools if tool.kind == "write"} == WRITES


def test_types_and_defaults_are_those_published() -> None:
    types = {
        f"{tool.name}.{name}": schema
        for tool in agent_toolkit()
        for name, schema in tool.parameters["properties"].items()
    }
    assert types.pop("refuel_data.gb_amount")["type"] == "number"
    limit = types.pop("get_bills_for_customer.limit")
    assert (limit["type"], limit["default"]) == ("integer", 12)
    assert {schema["type"] for schema in types.values()} == {"string"}
    mode = _parameters("set_network_mode_preference")["mode"]["anyOf"]
    assert mode[0]["enum"] == ["4g_5g_preferred", "4g_only", "3g_only", "2g_only"]
    assert mode[1]["type"] == "string"
    settings = _parameters("set_apn_settings")["apn_settings"]["anyOf"]
    assert list(settings[0]["properties"]) == [
        "apn_name",
        "reset_at_reboot",
        "mms_apn",
        "mmsc_url",
        "mms_proxy",
        "mms_port",
    ]
    assert settings[1] == {"type": "object", "additionalProperties": True}


def _parameters(name: str) -> Any:
    tool = dual_toolkit().get(name)
    assert tool is not None
    return tool.parameters["properties"]


def test_every_schema_is_valid_described_and_closed() -> None:
    for schema in solo_toolkit().schemas():
        parameters = schema["function"]["parameters"]
        Draft202012Validator.check_schema(parameters)
        assert parameters["additionalProperties"] is False
        assert schema["function"]["description"]
        assert all(item["description"] for item in parameters["properties"].values())


def test_schemas_stay_as_they_are(pytestconfig: pytest.Config) -> None:
    text = json.dumps(solo_toolkit().schemas(), indent=1, ensure_ascii=False) + "\n"
    if pytestconfig.getoption("--update-golden"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert GOLDEN.read_text(encoding="utf-8") == text


def test_toolkits_divide_the_tools() -> None:
    solo, dual = solo_toolkit(), dual_toolkit()
    assert len(solo) == 44
    assert solo.names[-1] == "done"
    assert {tool.requestor for tool in solo} == {"assistant"}
    assert [tool.name for tool in dual.tools("user")] == [tool.name for tool in USER_TOOLS]
    assert agent_toolkit().names == tuple(tool.name for tool in AGENT_TOOLS)
    done = solo.get("done")
    assert done is not None
    assert done.kind == "control"


def execute(
    toolkit: Toolkit, world: TelecomWorld, name: str, requestor: Requestor = "assistant", **arguments: Any
) -> ToolOutcome:
    return toolkit.execute(world, ToolCall(id="1", name=name, arguments=arguments, requestor=requestor))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("set_apn_settings", {"apn_settings": "internet"}),
        ("set_network_mode_preference", {"mode": 5}),
        ("refuel_data", {"customer_id": "C1", "line_id": "L1", "gb_amount": float("nan")}),
        ("refuel_data", {"customer_id": "C1", "line_id": "L1", "gb_amount": "2"}),
        ("refuel_data", {"customer_id": "C1", "line_id": "L1", "gb_amount": 10**400}),
        ("refuel_data", {"customer_id": "C1", "line_id": "L1"}),
        ("get_bills_for_customer", {"customer_id": "C1", "limit": None}),
        ("toggle_data", {"on": True}),
        ("grant_app_permission", {"app_name": "messaging", "permission": None}),
    ],
)
def test_what_would_corrupt_the_world_is_not_let_in(name: str, arguments: dict[str, Any]) -> None:
    world = small_world()
    state = world.state
    assert execute(solo_toolkit(), world, name, **arguments).error == CallError.INVALID_ARGUMENTS
    assert world.state is state


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("set_apn_settings", {"apn_settings": {"apn_name": "x"}}),
        ("set_apn_settings", {"apn_settings": {"colour": "red"}}),
        ("refuel_data", {"customer_id": "C1", "line_id": "L1", "gb_amount": 0}),
        ("get_details_by_id", {"id": ""}),
    ],
)
def test_refusals_leave_the_world_alone(name: str, arguments: dict[str, Any]) -> None:
    world = small_world()
    state = world.state
    outcome = execute(solo_toolkit(), world, name, **arguments)
    assert outcome.error == CallError.REFUSED
    assert outcome.content.startswith("Error: ")
    assert world.state is state


def test_each_side_keeps_to_its_tools() -> None:
    world, dual = small_world(), dual_toolkit()
    assert execute(dual, world, "toggle_data").error == CallError.WRONG_SIDE
    assert execute(dual, world, "get_customer_by_id", "user", customer_id="C1").error == CallError.WRONG_SIDE
    assert execute(dual, world, "toggle_data", "user").error is None


def test_amounts_keep_their_spelling() -> None:
    world = small_world()
    for amount in (2, 2.0):
        outcome = execute(solo_toolkit(), world, "refuel_data", customer_id="C1", line_id="L1", gb_amount=amount)
        assert json.loads(outcome.content)["charge"] == "5.0"
    items = world.state.bills["B3"].line_items
    assert [item.description.split()[2] for item in items] == ["2", "2.0"]


def test_every_write_is_followed_by_a_sync() -> None:
    world = small_world()
    outcome = execute(solo_toolkit(), world, "suspend_line", customer_id="C1", line_id="L1", reason="travel")
    assert outcome.error is None
    assert not world.surroundings.line_active
    assert world.state.synced
