"""What counts: rewards for outcomes, answers and the reasonableness of every tool call."""

from telegym.rewards.base import Judgement, Reward, Run
from telegym.rewards.verdict import CallVerdict, Check, Code

__all__ = ["CallVerdict", "Check", "Code", "Judgement", "Reward", "Run"]
