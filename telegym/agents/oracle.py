"""Agents that ask the environment what to do.

`OracleAgent` plays the environment's hints: it sees the hidden cause. `ExpertAgent` plays what the environment's
expert would do, who sees only what an agent sees; not every environment has one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from telegym.agents.base import Action, Agent
from telegym.core.environment import Environment
from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message
from telegym.core.user import STOP

__all__ = ["ExpertAgent", "OracleAgent"]


class OracleAgent(Agent):
    """Plays `Environment.hint`; where there is none, it stops."""

    name = "oracle"

    def act(self, episodes: Sequence[Episode]) -> list[Action]:
        """Return the next hint for each episode."""
        return [self._next(episode) for episode in episodes]

    def _next(self, episode: Episode) -> Action:
        message = self._advice(episode.environment)(episode)
        if message is None:
            return Message(role="assistant", content=STOP)
        return message

    def _advice(self, environment: Environment) -> Callable[[Episode], Message | None]:
        return environment.hint


class ExpertAgent(OracleAgent):
    """Plays `environment.expert(episode)`, for environments that have an expert.

    Raises:
        ConfigurationError: At the first turn, if the environment has none.
    """

    name = "expert"

    def _advice(self, environment: Environment) -> Callable[[Episode], Message | None]:
        advice: Callable[[Episode], Message | None] | None = getattr(environment, "expert", None)
        if advice is None:
            raise ConfigurationError(f"environment {environment.id!r} has no expert; the oracle is agent 'oracle'")
        return advice
