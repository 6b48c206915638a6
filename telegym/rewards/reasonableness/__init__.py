"""The reasonableness of every tool call, by what the simulator knows and by what could be known."""

from telegym.rewards.reasonableness.auditor import Audit, Auditor, auditor_for, has_auditor, register_auditor
from telegym.rewards.reasonableness.summary import DEFAULT_WEIGHTS, Reasonableness, quality

__all__ = [
    "DEFAULT_WEIGHTS",
    "Audit",
    "Auditor",
    "Reasonableness",
    "auditor_for",
    "has_auditor",
    "quality",
    "register_auditor",
]
