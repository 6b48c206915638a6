"""The same network goes the same way: in a fork, after a restore, in another process, however one waits."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.envs.base_station import alarms, impact, operations
from telegym.envs.base_station.engine import HOUR_S
from telegym.envs.base_station.faults import fault, fault_codes
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice

HANDLERS = operations
"""Imported so that its events are handled."""


def troubled(archetype: str, *codes: str, seed: int = 3) -> Network:
    world = Network(archetype, 2, seed, start_s=15 * HOUR_S)
    for code in codes:
        options = fault(code).eligible(world)
        if options:
            fault(code).inject(world, choice(options, seed, code), seed=seed)
    return world


def story(world: Network) -> tuple[str, list[str], float]:
    texts = [f"{alarm.raised_s} {alarm.object_id} {alarm.key}" for alarm in world.alarms.values()]
    return world.state_hash(), texts, impact.lost_user_minutes(world)


PAIRS = [
    ("U1", ("utility_mains_outage", "gnss_antenna_failure")),
    ("R1", ("cooling_system_failure", "fronthaul_fibre_degradation")),
    ("S1", ("backhaul_fibre_cut", "site_mains_breaker_trip", "faulty_sensor_false_alarm")),
]


@pytest.mark.parametrize(("archetype", "codes"), PAIRS)
def test_a_fork_and_a_restored_network_go_the_same_way(archetype: str, codes: tuple[str, ...]) -> None:
    world = troubled(archetype, *codes)
    world.advance(HOUR_S)
    snapshot, before = world.snapshot(), world.state_hash()
    fork = world.fork()
    world.advance(6 * HOUR_S)
    told = story(world)
    assert fork.state_hash() == before, "a fork does not know what the original does"
    fork.advance(6 * HOUR_S)
    assert story(fork) == told
    for _ in range(2):
        world.restore(snapshot)
        assert world.state_hash() == before
        world.advance(6 * HOUR_S)
        assert story(world) == told


@given(cuts=st.lists(st.integers(1, 9_000), max_size=8), pair=st.sampled_from(PAIRS), looks=st.booleans())
@settings(max_examples=15, deadline=None)
def test_how_one_waits_does_not_matter(cuts: list[int], pair: tuple[str, tuple[str, ...]], looks: bool) -> None:
    one, other = troubled(pair[0], *pair[1]), troubled(pair[0], *pair[1])
    for seconds in cuts:
        one.advance(seconds)
        if looks:
            alarms.active_alarms(one)
            one.mark().hash()
            one.fork().advance(100)
    other.advance(sum(cuts))
    assert one.state_hash() == other.state_hash()


SCRIPT = """
import sys
from tests.envs.base_station.test_determinism import PAIRS, story, troubled
for archetype, codes in PAIRS:
    world = troubled(archetype, *codes)
    world.advance(5 * 3600)
    print(story(world)[0])
"""


def test_two_processes_give_the_same_hashes() -> None:
    outputs = []
    for seed in ("1", "77"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, check=True
        )
        outputs.append(done.stdout.split())
    assert outputs[0] == outputs[1] and len(set(outputs[0])) == len(PAIRS)


@pytest.mark.parametrize("code", fault_codes(1))
def test_nothing_is_left_of_a_fault_but_history(code: str) -> None:
    world = troubled("M1", code)
    options = fault(code).eligible(Network("M1", 2, 3, start_s=15 * HOUR_S))
    if not options:
        pytest.skip(f"{code} cannot happen here")
    healthy = Network("M1", 2, 3).physical_dump()["objects"]
    fresh = Network("M1", 2, 3, start_s=15 * HOUR_S)
    defect = fault(code).inject(fresh, choice(options, 3, code), seed=3)
    added = {name for name in fresh.changed_objects() if name not in fresh.region.records}
    world.advance(3 * HOUR_S)
    fault(code).undo(world, defect)
    world.advance(72 * HOUR_S)
    left = {name: value for name, value in world.physical_dump()["objects"].items() if name not in added}
    booted = {name for name, value in left.items() if value and "booted_s" in value}
    assert {name: value for name, value in left.items() if name not in booted} == healthy
    assert {event.kind for event in world.agenda.pending()} <= ({"validity.review"} if booted else set())
    assert not world.measured and not world.queued
