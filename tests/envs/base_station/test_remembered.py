"""Answers that are kept are those that would be given anew, whatever has changed since."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.envs.base_station import conditions, dependencies, epochs, power_model
from telegym.envs.base_station.engine import DAY_S, HOUR_S
from telegym.envs.base_station.faults import fault, fault_codes
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice
from telegym.envs.base_station.objects import AdministrativeState, Cell, Node, RadioUnit, Relation, RetUnit, Site

ARCHETYPES = ("U2", "R1", "M1")


def asked(network: Network) -> None:
    """Ask everything there is to ask about every element, so that the answers are kept."""
    for site in network.all(Site):
        dependencies.sound(network, site.id)
        dependencies.sound_but_cells(network, site.id)
        power_model.load_w(network, site.id)
    for cell in network.all(Cell):
        epochs.cell_view(network, cell)
        dependencies.cell_status(network, cell.id)
    for node in network.all(Node):
        epochs.node_view(network, node)


def wrong(network: Network) -> list[str]:
    """Return which of the kept answers a network that remembers nothing would not give."""
    fresh = network.copy_with(memo={}, reach={})
    found = []
    for table in (network.memo, network.reach):
        for element, answers in table.items():
            found += [name for name, answer in answers.items() if answer != _anew(fresh, name, element, answer)]
    return found


def _anew(network: Network, name: str, element: str, known: Any) -> Any:
    if name == "load_w":
        return {hour: power_model._load_w(network, element, hour) for hour in known}
    return getattr(dependencies, name)(network, element)


def change(network: Network, kind: str, number: int) -> None:
    """Change something."""
    cells, units = list(network.all(Cell)), list(network.all(RadioUnit))
    cell, unit = cells[number % len(cells)], units[number % len(units)]
    if kind == "lock":
        network.configure(cell, "administrative_state", AdministrativeState.LOCKED, "test")
    elif kind == "hang":
        network.update(cell, access_hung=True, cell_barred=number % 2 == 0)
    elif kind == "power":
        network.configure(cell, "max_tx_power_dbm", cell.max_tx_power_dbm - 1.0 - number % 7, "test")
    elif kind == "load":
        network.update(cell, ocns_enabled=not cell.ocns_enabled)
    elif kind == "motor":
        network.update(list(network.all(RetUnit))[number % len(cells)], jammed=True)
    elif kind == "relation":
        network.remove(next(itertools.islice(network.all(Relation), number, None)))
    elif kind == "unit":
        network.update(unit, failed=not unit.failed)
    else:
        network.advance(number % 97 * HOUR_S // 4)


KINDS = ("lock", "hang", "power", "load", "motor", "relation", "unit", "time")
CHANGES = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 100)), min_size=1, max_size=6)


@given(archetype=st.sampled_from(ARCHETYPES), changes=CHANGES, looks=st.booleans())
@settings(max_examples=25, deadline=None)
def test_what_is_kept_is_true(archetype: str, changes: list[tuple[str, int]], looks: bool) -> None:
    network = Network(archetype, 4, seed=1, start_s=3 * DAY_S)
    asked(network)
    for kind, number in changes:
        if looks:
            asked(network)
        change(network, kind, number)
        assert not wrong(network), (kind, number)
    network.settle()
    assert not wrong(network)


@given(changes=CHANGES)
@settings(max_examples=15, deadline=None)
def test_copies_do_not_mislead_each_other(changes: list[tuple[str, int]]) -> None:
    network = Network("U2", 4, seed=1, start_s=3 * DAY_S)
    asked(network)
    for kind, number in changes:
        other = network.fork()
        change(other, kind, number)
        asked(other)
        asked(network)
        assert not wrong(network) and not wrong(other)
        network = other


def _all_findings(network: Network) -> Iterator[Any]:
    for site in network.all(Site):
        yield list(conditions.findings_at(network, site.id))


@pytest.mark.parametrize("code", fault_codes(1))
def test_looking_at_cells_alone_finds_all_there_is(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network("U1", 2, seed=3, start_s=15 * HOUR_S)
    options = fault(code).eligible(network)
    if not options:
        pytest.skip(f"{code} cannot happen here")
    fault(code).inject(network, choice(options, 3, code), seed=3)
    cell = next(cell for cell in network.all(Cell))
    network.configure(cell, "pci", list(network.all(Cell))[4].pci, "test")
    network.advance(2 * HOUR_S)
    found = list(_all_findings(network))
    # The phase of a clock goes on while an epoch lasts.
    views = [epochs.cell_view(network, cell)._replace(phase_us=0.0) for cell in network.all(Cell)]
    assert views == [seen._replace(phase_us=0.0) for seen in network.epochs[-1].view.cells.values()]
    monkeypatch.setattr(dependencies, "sound_but_cells", lambda network, site: False)
    assert list(_all_findings(network)) == found
