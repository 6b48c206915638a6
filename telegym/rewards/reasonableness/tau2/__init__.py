"""The auditor of tau2 telecom: which calls of an agent on the help desk were right to make."""

from telegym.rewards.reasonableness.tau2.auditor import Tau2Auditor

__all__ = ["Tau2Auditor"]
