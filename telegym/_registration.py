"""The names under which `gymnasium.make` finds TeleGym's environments. They are imported when one is made."""

from __future__ import annotations

from gymnasium.envs.registration import register, registry

__all__ = ["GYMNASIUM_IDS", "register_all"]

GYMNASIUM_IDS = {
    "telegym/BaseStation-v0": "base-station",
    "telegym/Tau2Telecom-v0": "tau2-telecom",
    "telegym/TeleMath-v0": "telemath",
    "telegym/TeleQnA-v0": "teleqna",
}
"""Gymnasium ids, and the environments they stand for."""

_ENTRY_POINT = "telegym.envs.gym:TelegymEnv"


def register_all() -> None:
    """Register every environment, and `telegym/Environment-v0`, which takes `environment=` as an option."""
    known = {name: {"environment": environment_id} for name, environment_id in GYMNASIUM_IDS.items()}
    for name, kwargs in {**known, "telegym/Environment-v0": {}}.items():
        if name not in registry:
            register(name, entry_point=_ENTRY_POINT, kwargs=kwargs)
