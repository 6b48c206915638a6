"""The pool of spare licences of a region's operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telegym.envs.base_station.noise import mix
from telegym.envs.base_station.objects import Licence, LicenceFeature, Node

if TYPE_CHECKING:
    from telegym.envs.base_station.network import Network

__all__ = ["licence_pool"]

_CAPACITY = {LicenceFeature.CONNECTED_USERS: 1200}
_EXPIRY_S = 3 * 365 * 86_400


def licence_pool(network: Network) -> tuple[Licence, ...]:
    """Return the licences that nobody uses yet: one or two of each feature, less those installed on nodes."""
    installed = {licence.id for node in network.all(Node) for licence in node.licences}
    found = []
    for number, feature in enumerate(LicenceFeature):
        spare = 1 + mix(network.region.seed, "pool", feature.value) % 2
        for copy in range(spare):
            name = f"LIC-POOL-{1 + 2 * number + copy}"
            if name not in installed:
                found.append(Licence(name, feature, _CAPACITY.get(feature, 12), 0, _EXPIRY_S))
    return tuple(found)
