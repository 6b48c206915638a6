"""The tools of base-station maintenance: 60 of them, in profiles of different size.

`toolkit(profile, language, results)` gives what an agent may call. Every call lets simulated time pass; a refusal
costs 0.2 minutes and changes nothing else.
"""

from telegym.tools.base_station._definition import Definition, definition, definitions
from telegym.tools.base_station._toolkit import FAMILIES, PROFILES, STYLES, NetworkToolkit, profile_tools, toolkit

__all__ = [
    "FAMILIES",
    "PROFILES",
    "STYLES",
    "Definition",
    "NetworkToolkit",
    "definition",
    "definitions",
    "profile_tools",
    "toolkit",
]
