"""Faults that are nothing but other values of some fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from telegym.envs.base_station.faults.registry import Fault, Form, Parameters, register
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import Record

__all__ = ["built", "configuration_fault", "field_fault", "ids"]

Values = Mapping[str, Any]


def ids(network: Network, kind: type[Record], test: Callable[[Any], bool] = lambda record: True) -> list[str]:
    """Return the ids of the objects of a kind that pass a test."""
    return [record.id for record in network.all(kind) if test(record)]


def built(network: Network, element: str, name: str) -> Any:
    """Return a field's value as the region was built."""
    return getattr(network.region.records[element], name)


def field_fault(
    code: str,
    kind: type[Record],
    sample: Callable[[Network, str, int], Parameters],
    values: Callable[[Network, str, Parameters], Values],
    *,
    test: Callable[[Any], bool] = lambda record: True,
    accepted: Callable[[Network, str], tuple[str, ...]] = lambda network, element: (element,),
    lead_min: int = 20,
    form: Form = "permanent",
) -> Fault:
    """Register a fault that sets fields of one record; it is gone when all of them are as built.

    Args:
        code: The cause.
        kind: Kind of record it happens to.
        sample: Draws details.
        values: Returns the faulty values.
        test: Says which records it can happen to.
        accepted: Elements that a diagnosis may name.
        lead_min: Minutes between its beginning and a ticket about it, at least.
        form: How it goes on over time.
    """

    def apply(network: Network, element: str, details: Parameters) -> None:
        network.update(network.get(kind, element), **values(network, element, details))

    def present(network: Network, element: str, details: Parameters) -> bool:
        record = network.get(kind, element)
        return any(getattr(record, name) != built(network, element, name) for name in values(network, element, details))

    def repair(network: Network, element: str, details: Parameters) -> None:
        healthy = {name: built(network, element, name) for name in values(network, element, details)}
        network.update(network.get(kind, element), **healthy)

    return register(
        Fault(code, lambda network: ids(network, kind, test), sample, apply, present, repair, accepted, lead_min, form)
    )


def configuration_fault(
    code: str,
    kind: type[Record],
    sample: Callable[[Network, str, int], Parameters],
    values: Callable[[Network, str, Parameters], Values],
    *,
    test: Callable[[Any], bool] = lambda record: True,
    eligible: Callable[[Network], list[str]] | None = None,
    user: str = "cm-operator",
) -> Fault:
    """Register a fault that is a wrong configuration; the change is in the log.

    Args:
        code: The cause.
        kind: Kind of record it happens to.
        sample: Draws details.
        values: Returns the wrong values; computed before anything is changed, and kept in the details.
        test: Says which records it can happen to.
        eligible: Says so for faults that need more than the record.
        user: Who made the change.
    """

    def apply(network: Network, element: str, details: Parameters) -> None:
        for name, value in values(network, element, details).items():
            network.configure(network.get(kind, element), name, value, user)

    def present(network: Network, element: str, details: Parameters) -> bool:
        record = network.get(kind, element)
        names = values(network, element, details)
        return any(getattr(record, name) != built(network, element, name) for name in names)

    def repair(network: Network, element: str, details: Parameters) -> None:
        for name in values(network, element, details):
            network.configure(network.get(kind, element), name, built(network, element, name), "cm-operator")

    chosen = eligible or (lambda network: ids(network, kind, test))
    return register(Fault(code, chosen, sample, apply, present, repair))
