"""A person at a terminal as the agent.

What is typed is read like the text of a model: `read_counter(counter_id="C001")` is a call, anything else is said.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from telegym.agents.base import Action, Agent
from telegym.core.episode import Episode
from telegym.core.messages import Message
from telegym.core.tool import Tool
from telegym.core.user import STOP

__all__ = ["HumanAgent"]

_PROMPT = "> "
_HELP = "Type a call such as name(argument=value), or text; an empty line lists the tools, ctrl-D ends the episode."


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")


class HumanAgent(Agent):
    """Asks a person for every action.

    Args:
        ask: Shows a prompt and returns a line; raises `EOFError` when the person has left.
        show: Shows a text.
    """

    name = "human"

    def __init__(self, *, ask: Callable[[str], str] = input, show: Callable[[str], None] = _write) -> None:
        self._ask = ask
        self._show = show

    def begin(self, episodes: Sequence[Episode]) -> None:
        """Show the policy of each episode."""
        for episode in episodes:
            self._show(f"Task {episode.task.id}\n\n{episode.system}\n\n{_HELP}\n")

    def act(self, episodes: Sequence[Episode]) -> list[Action]:
        """Ask for one action for each episode, in order."""
        return [self._ask_for(episode) for episode in episodes]

    def finish(self, episodes: Sequence[Episode]) -> None:
        """Show how each episode ended."""
        for episode in episodes:
            self._show_news(episode)
            score = episode.score()
            value = "no score" if score.value is None else f"score {score.value:g}"
            self._show("\n".join([f"Task {episode.task.id}: {episode.end}, {value}", *score.reasons]))

    def _ask_for(self, episode: Episode) -> Action:
        self._show_news(episode)
        try:
            while not (line := self._ask(_PROMPT).strip()):
                self._show("\n".join(_usage(tool) for tool in episode.toolkit.tools("assistant")))
        except EOFError:
            return Message(role="assistant", content=STOP)
        return line

    def _show_news(self, episode: Episode) -> None:
        messages = episode.agent_messages()
        spoken = [index for index, message in enumerate(messages) if message.role == "assistant"]
        start = spoken[-1] + 1 if episode.turn else 0
        for message in messages[start:]:
            self._show(f"[{message.name or message.role}] {message.content}")


def _usage(tool: Tool) -> str:
    required = tool.parameters.get("required", [])
    names = [name if name in required else f"[{name}]" for name in tool.parameters.get("properties", {})]
    return f"{tool.name}({', '.join(names)}): {tool.description.splitlines()[0]}"
