"""A person with a real simulated phone, to talk to in tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from telegym.agents.users.scripted import ScriptedUser
from telegym.core.messages import Message
from telegym.core.user import User
from telegym.envs.tau2_telecom.environment import Tau2Telecom
from telegym.envs.tau2_telecom.scenario import UserScenario
from telegym.envs.tau2_telecom.world import TelecomWorld

Faults = list[tuple[str, dict[str, Any]]]

BROKEN: Faults = [
    ("turn_airplane_mode_on", {}),
    ("turn_data_off", {}),
    ("turn_roaming_off", {}),
    ("turn_data_saver_mode_on", {}),
    ("break_vpn", {}),
    ("set_wifi_calling", {"enabled": True, "mms_over_wifi": True}),
    ("unseat_sim_card", {}),
    ("set_network_mode_preference", {"mode": "2g_only"}),
    ("break_apn_mms_setting", {}),
    ("remove_app_permission", {"app_name": "messaging", "permission": "sms"}),
    ("remove_app_permission", {"app_name": "messaging", "permission": "storage"}),
]
"""A phone in which nearly everything is wrong."""
HEALTHY: Faults = [
    ("turn_airplane_mode_off", {}),
    ("turn_data_on", {}),
    ("turn_roaming_on", {}),
    ("turn_data_saver_mode_off", {}),
    ("set_wifi_calling", {"enabled": False, "mms_over_wifi": False}),
    ("reseat_sim_card", {}),
    ("disconnect_vpn", {}),
    ("set_apn_settings", {"apn_settings": {}}),
    ("set_network_mode_preference", {"mode": "4g_5g_preferred"}),
    ("grant_app_permission", {"app_name": "messaging", "permission": "sms"}),
    ("grant_app_permission", {"app_name": "messaging", "permission": "storage"}),
]
"""A phone in which nothing is wrong."""


def scenario(**facts: Any) -> UserScenario:
    """Return a scenario with these facts."""
    defaults: dict[str, Any] = {
        "name": "Ann Bell",
        "phone_number": "555-000-1111",
        "family": "service_issue",
        "reason_for_call": "Your phone has had no service for the past few hours.",
        "location": "abroad in France",
        "abroad": True,
        "refuel_gb": 2.0,
    }
    return UserScenario(**(defaults | facts))


@dataclass
class Turn:
    """What a person did and said in answer to a message."""

    calls: list[str] = field(default_factory=list)
    """Tools called, in order."""
    arguments: list[dict[str, Any]] = field(default_factory=list)
    """Their arguments."""
    results: list[str] = field(default_factory=list)
    """Their results."""
    text: str = ""
    """The answer."""
    messages: list[Message] = field(default_factory=list)
    """The person's messages."""


class Person:
    """A user with a phone."""

    def __init__(self, faults: Faults | None = None, user: User | None = None, seed: int = 0, **facts: Any) -> None:
        environment = Tau2Telecom(mode="dual", count=1)
        task = environment.tasks[0]
        self.toolkit = environment.toolkit(task)
        self.world: TelecomWorld = environment.build_world(task)
        for name, arguments in [*HEALTHY, *(BROKEN if faults is None else faults)]:
            self.world.run("user", name, arguments)
        self.user = user or ScriptedUser(scenario(**facts), seed)

    @property
    def phone(self) -> dict[str, Any]:
        """The state of the phone."""
        state: dict[str, Any] = self.world.dump()["user"]["device"]
        return state

    def hear(self, text: str) -> Turn:
        """Say something to the person, and let them use the phone until they answer."""
        turn = Turn()
        message = self.user.respond([Message(role="assistant", content=text)])
        while message.tool_calls:
            turn.messages.append(message)
            message = self.user.respond([self._execute(turn, call) for call in message.tool_calls])
        turn.messages.append(message)
        turn.text = message.content or ""
        return turn

    def _execute(self, turn: Turn, call: Any) -> Message:
        outcome = self.toolkit.execute(self.world, call)
        turn.calls.append(call.name)
        turn.arguments.append(call.arguments)
        turn.results.append(outcome.content)
        failed = outcome.error is not None
        return Message(
            role="tool",
            content=outcome.content,
            tool_call_id=call.id,
            name=call.name,
            error=failed,
            requestor="user",
        )
