"""Numerical problems of telecommunications, made on demand with known answers."""

from telegym.envs.questions.problems import radio, systems
from telegym.envs.questions.problems.template import Draw, Problem, Template, number

__all__ = ["TEMPLATES", "Draw", "Problem", "Template", "number"]

TEMPLATES: tuple[Template, ...] = (*radio.TEMPLATES, *systems.TEMPLATES)
"""All kinds of problems, in a fixed order."""
