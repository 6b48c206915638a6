"""What is played: one package for each domain, and the Gymnasium adapter."""

from telegym.envs.registry import environment_ids, make_environment, register_environment

__all__ = ["environment_ids", "make_environment", "register_environment"]
