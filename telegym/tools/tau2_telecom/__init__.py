"""The tools of tau2 telecom: the agent's back office, the user's phone."""

from telegym.core.tool import Toolkit
from telegym.tools.tau2_telecom.agent import AGENT_TOOLS
from telegym.tools.tau2_telecom.solo import done
from telegym.tools.tau2_telecom.user import USER_TOOLS

__all__ = ["AGENT_TOOLS", "USER_TOOLS", "agent_toolkit", "dual_toolkit", "solo_toolkit"]


def agent_toolkit() -> Toolkit:
    """Return the agent's 13 tools."""
    return Toolkit(AGENT_TOOLS, "tau2-telecom agent")


def dual_toolkit() -> Toolkit:
    """Return the tools of both sides, each for its own side."""
    return Toolkit([*AGENT_TOOLS, *USER_TOOLS], "tau2-telecom")


def solo_toolkit() -> Toolkit:
    """Return the tools of both sides for an agent that works alone, and `done`."""
    return Toolkit([*AGENT_TOOLS, *USER_TOOLS, done], "tau2-telecom solo").for_requestor("assistant")
