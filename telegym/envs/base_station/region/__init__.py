"""Regions: sites, cells, transport and equipment, drawn from an archetype and a seed.

`build_region("S1", 312)` always gives the same region. A region never changes: what happens to it is kept elsewhere.
"""

from telegym.envs.base_station.region.build import Region, build_region

__all__ = ["Region", "build_region"]
