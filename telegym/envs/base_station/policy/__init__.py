"""The operations policy: what an agent has to keep to, and how it is checked."""

from telegym.envs.base_station.policy.constants import PolicyConstants, policy_variant, policy_variants
from telegym.envs.base_station.policy.judge import Verdict, judge
from telegym.envs.base_station.policy.rules import RULES, Violation
from telegym.envs.base_station.policy.trace import Facts, Trace, TraceEntry

__all__ = [
    "RULES",
    "Facts",
    "PolicyConstants",
    "Trace",
    "TraceEntry",
    "Verdict",
    "Violation",
    "judge",
    "policy_variant",
    "policy_variants",
]
