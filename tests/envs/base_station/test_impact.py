"""What customers lose: nothing in a healthy network, more for more, and each loss with its cause."""

from __future__ import annotations

import pytest

from telegym.envs.base_station import impact
from telegym.envs.base_station.engine import HOUR_S
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import (
    AdministrativeState,
    Cell,
    Node,
    PowerSystem,
    RadioUnit,
    Record,
    TransportLink,
)
from telegym.envs.base_station.region.archetypes import archetype_names


def network(archetype: str = "S1") -> Network:
    world = Network(archetype, 1, start_s=12 * HOUR_S)
    world.settle()
    return world


def lost_in_an_hour(world: Network, kind: type[Record], name: str, **fields: object) -> impact.Loss:
    fork = world.fork()
    fork.update(fork.get(kind, name), **fields)
    fork.advance(HOUR_S)
    return impact.loss(fork)


@pytest.mark.parametrize("archetype", archetype_names())
def test_a_healthy_network_loses_nothing(archetype: str) -> None:
    world = network(archetype)
    world.advance(5 * HOUR_S)
    assert impact.loss(world) == impact.Loss(0.0, {})


def test_more_broken_is_more_lost() -> None:
    world = network("M1")
    leaf = next(site for site in world.index.at_site if world.index.behind[f"CSR-{site[1:]}"] == (site,))
    number = leaf[1:]
    unit = lost_in_an_hour(world, RadioUnit, f"RU-{number}-L8-1", failed=True)
    node = lost_in_an_hour(world, Node, f"ENB-{number}", failed=True)
    site = lost_in_an_hour(world, PowerSystem, f"PWR-{number}", dark=True, mains_ok=False)
    users = impact.users_of(world, [cell.id for cell in world.at_site(Cell, leaf)])
    assert 0 < unit.user_minutes < node.user_minutes < site.user_minutes
    assert max(site.by_site, key=lambda name: site.by_site[name]) == leaf
    assert site.by_site[leaf] <= 60 * users * 1.3


def test_a_layer_that_others_replace_costs_less_than_the_only_one() -> None:
    world = network("R1")
    for unit in world.at_site(RadioUnit, "S002"):
        if unit.layer == "L18":
            world.update(unit, failed=True)
    world.advance(HOUR_S)
    one = impact.loss(world).user_minutes
    for unit in world.at_site(RadioUnit, "S002"):
        world.update(unit, failed=True)
    begun = world.now
    world.advance(HOUR_S)
    assert impact.loss(world, begun).user_minutes > 1.5 * one > 0


def test_what_users_do_not_notice_costs_nothing() -> None:
    world = network()
    assert lost_in_an_hour(world, Cell, "S002-L18-1", tac=9).user_minutes == 0
    assert lost_in_an_hour(world, PowerSystem, "PWR-002", mains_ok=False).user_minutes == 0


def test_loss_adds_up_over_time() -> None:
    world = network()
    world.update(world.get(RadioUnit, "RU-002-L8-1"), failed=True)
    world.advance(100 * 60)
    begin, middle, end = world.start_s, world.start_s + 2345, world.now
    parts = impact.lost_user_minutes(world, begin, middle) + impact.lost_user_minutes(world, middle, end)
    assert parts == pytest.approx(impact.lost_user_minutes(world), abs=1e-3)
    world.update(world.get(RadioUnit, "RU-002-L8-1"), failed=False)
    world.advance(HOUR_S)
    assert impact.lost_user_minutes(world) == pytest.approx(parts, abs=1e-3)
    assert impact.lost_user_minutes(world, end) == 0


def test_an_agent_is_charged_with_what_it_does_and_no_more() -> None:
    world = network()
    link = world.region.transport.paths["S002"]["primary"][0]
    world.update(world.get(TransportLink, link), cut=True)
    world.advance(600)
    beginning = world.fork()
    world.advance(HOUR_S)
    assert impact.caused(world, beginning) == impact.Loss(0.0, {})
    busy = beginning.fork()
    for cell in busy.at_site(Cell, "S003"):
        busy.update(cell, administrative_state=AdministrativeState.LOCKED)
    busy.advance(HOUR_S)
    charged = impact.caused(busy, beginning)
    assert charged.user_minutes > 0 and max(charged.by_site, key=lambda name: charged.by_site[name]) == "S003"
    helper = beginning.fork()
    helper.update(helper.get(TransportLink, link), cut=False)
    helper.advance(HOUR_S)
    assert impact.caused(helper, beginning).user_minutes < 0
    assert beginning.now == 12 * HOUR_S + 600, "the beginning stays as it is"


def test_important_customers_cost_ten_times_as_much() -> None:
    world = network("U1")
    sites = {site.vip: site.id for site in world.region.layout.sites}
    assert set(sites) == {True, False}
    assert impact.penalty_eur(world, impact.Loss(100.0, {sites[True]: 100.0})) == 20.0
    assert impact.penalty_eur(world, impact.Loss(100.0, {sites[False]: 100.0})) == 2.0
