"""Gymnasium finds TeleGym's environments through this module; it imports nothing until one is made.

`pyproject.toml` names `register` under the entry-point group `gymnasium.envs`, in the namespace `telegym`.
"""

from __future__ import annotations

__all__ = ["GYMNASIUM_IDS", "register"]

GYMNASIUM_IDS = {"Tau2Telecom-v0": "tau2-telecom"}
"""Names within the namespace `telegym`, and the environments they stand for."""

_ENTRY_POINT = "telegym.envs.gym:TelegymEnv"


def register() -> None:
    """Register every environment with Gymnasium, and `Environment-v0`, which takes `environment=` as an option."""
    from gymnasium.envs.registration import register as register_with_gymnasium

    for name, environment_id in GYMNASIUM_IDS.items():
        register_with_gymnasium(name, entry_point=_ENTRY_POINT, kwargs={"environment": environment_id})
    register_with_gymnasium("Environment-v0", entry_point=_ENTRY_POINT)
