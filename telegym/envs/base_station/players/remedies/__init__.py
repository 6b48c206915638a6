"""Remedies: for each cause what to look at, and what to do about it, as procedures at the desk.

A remedy goes by what was seen; the oracle and the expert use the same ones. A new cause gets one with `remedy`.
"""

from telegym.envs.base_station.players.remedies.registry import Remedy, remedies, remedy_of

__all__ = ["Remedy", "remedies", "remedy_of"]
