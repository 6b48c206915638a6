"""What a recipe will take, before anything is loaded: tokens, memory, processes, disk, time."""

from telegym.agents.training.planning.plan import Plan, make_plan
from telegym.agents.training.planning.view import plan_lines

__all__ = ["Plan", "make_plan", "plan_lines"]
