"""What the agent has besides the tools when it works alone: ending the episode."""

from __future__ import annotations

from telegym.core.tool import tool
from telegym.envs.tau2_telecom.world import TelecomWorld

__all__ = ["done"]


@tool(kind="control")
def done(world: TelecomWorld) -> str:
    """Say that the work is finished, whether solved or handed over; this ends the episode."""
    return "Done."
