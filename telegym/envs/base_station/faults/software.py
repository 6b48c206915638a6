"""Licences and certificates."""

from __future__ import annotations

from dataclasses import replace

from telegym.envs.base_station.faults._fields import ids
from telegym.envs.base_station.faults.registry import Fault, Parameters, register
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice
from telegym.envs.base_station.objects import LicenceFeature, Node

__all__ = ["CERTIFICATE", "LICENCE"]

_FEATURES = (LicenceFeature.MIMO_4X4, LicenceFeature.CARRIER)


def _expire_licence(network: Network, element: str, details: Parameters) -> None:
    node = network.get(Node, element)
    network.update(
        node,
        licences=tuple(
            replace(item, expires_s=network.now) if item.feature == details["feature"] else item
            for item in node.licences
        ),
    )


def _without(network: Network, element: str, details: Parameters) -> bool:
    """Return whether no licence of the feature is valid."""
    licences = network.get(Node, element).licences
    return not any(item.feature == details["feature"] and item.expires_s > network.now for item in licences)


def _built_licences(network: Network, element: str, details: Parameters) -> None:
    built = network.region.records[element]
    if isinstance(built, Node):
        network.update(network.get(Node, element), licences=built.licences)


LICENCE = register(
    Fault(
        "licence_expired",
        lambda network: ids(network, Node, lambda node: bool(node.licences)),
        lambda network, element, seed: {"feature": str(choice(_FEATURES, seed, "feature", element))},
        _expire_licence,
        _without,
        _built_licences,
        lambda network, element: (element, *(item.id for item in network.get(Node, element).licences)),
    )
)
"""A licence that has ended."""


def _expire_certificate(network: Network, element: str, details: Parameters) -> None:
    node = network.get(Node, element)
    expired = tuple(replace(item, expires_s=network.now, auto_renew=False) for item in node.certificates)
    network.update(node, certificates=expired)


def _built_certificates(network: Network, element: str, details: Parameters) -> None:
    built = network.region.records[element]
    if isinstance(built, Node):
        network.update(network.get(Node, element), certificates=built.certificates)


CERTIFICATE = register(
    Fault(
        "certificate_expired",
        lambda network: ids(network, Node, lambda node: bool(node.certificates)),
        lambda network, element, seed: {},
        _expire_certificate,
        lambda network, element, details: any(
            item.expires_s <= network.now for item in network.get(Node, element).certificates
        ),
        _built_certificates,
        lambda network, element: (element, *(item.id for item in network.get(Node, element).certificates)),
    )
)
"""A certificate that has ended."""
