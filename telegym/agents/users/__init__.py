"""Simulated users: `ScriptedUser`, deterministic and without a model, and `ModelUser`, played by a chat model."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.user import User
from telegym.envs.tau2_telecom.scenario import UserScenario

if TYPE_CHECKING:
    from telegym.agents.users.model import ChatModel

__all__ = ["make_user"]


def make_user(spec: str, scenario: UserScenario, *, seed: int = 0) -> User:
    """Return the user of an episode.

    Args:
        spec: `scripted`, or `openai:MODEL` for a model behind an OpenAI-compatible endpoint (the address comes from
            the environment variable OPENAI_BASE_URL, the key from OPENAI_API_KEY).
        scenario: What the user knows, wants and agrees to.
        seed: Varies the wording of a scripted user, or the sampling of a model.

    Raises:
        ConfigurationError: If the specification is unknown or incomplete.
    """
    kind, _, model = spec.partition(":")
    if spec == "scripted":
        from telegym.agents.users.scripted import ScriptedUser

        return ScriptedUser(scenario, seed)
    if kind == "openai" and model:
        return _model_user(model, scenario, seed)
    hint = did_you_mean(kind, ("scripted", "openai:MODEL", "openai"))
    raise ConfigurationError(f"no user {spec!r}; valid: scripted, openai:MODEL.{hint}")


def _model_user(model: str, scenario: UserScenario, seed: int) -> User:
    from telegym.agents.users.model import ModelUser

    return ModelUser(scenario, _client(model), seed=seed)


@cache
def _client(model: str) -> ChatModel:
    """Return the one client for a model, so that its connections are shared by all episodes."""
    from telegym.agents.chat import ChatClient, ChatSettings

    return ChatClient(ChatSettings.of(model))
