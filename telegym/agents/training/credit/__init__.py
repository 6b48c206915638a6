"""Credit: how what rollouts are worth is shared out among their turns.

A scheme is a formula with its settings. It takes the rollouts of a batch as numbers (`Rollout`) and gives an advantage
for each turn of each rollout. Schemes can be added up with weights. Only the trainer spreads advantages over tokens: a
turn's advantage falls on the tokens the model sampled in it, never on those of answers.
"""

from __future__ import annotations

from telegym.agents.training.credit.blame import blamed_turns
from telegym.agents.training.credit.branching import ForkPoint, fork_point
from telegym.agents.training.credit.counterfactual import without_call, worth_of_turns
from telegym.agents.training.credit.rollout import Advantages, CallValue, Need, Rollout
from telegym.agents.training.credit.schemes import (
    AnyScheme,
    Blame,
    Branches,
    Calls,
    GroupInGroup,
    LeaveOneOut,
    Outcome,
    Scheme,
    Trajectory,
    Turns,
    combined,
    schemes_of,
    unseen_components,
)
from telegym.agents.training.credit.transcripts import rollouts_of

__all__ = [
    "Advantages",
    "AnyScheme",
    "Blame",
    "Branches",
    "CallValue",
    "Calls",
    "ForkPoint",
    "GroupInGroup",
    "LeaveOneOut",
    "Need",
    "Outcome",
    "Rollout",
    "Scheme",
    "Trajectory",
    "Turns",
    "blamed_turns",
    "combined",
    "fork_point",
    "rollouts_of",
    "schemes_of",
    "unseen_components",
    "without_call",
    "worth_of_turns",
]
