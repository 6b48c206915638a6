"""What is measured is what is said: shares of writes, calls that are understood, rates that add up."""

from __future__ import annotations

from collections import Counter

import pytest

from telegym.bench import base_station, episodes
from telegym.bench.rates import Job, Sample, rate_of
from telegym.core.errors import ConfigurationError
from telegym.core.tool import CallError
from telegym.envs.base_station.environment import BaseStation
from telegym.envs.base_station.network import Network
from telegym.tools.base_station import toolkit


@pytest.fixture(scope="module")
def network() -> Network:
    return Network("S1", 1, start_s=500_000)


@pytest.mark.parametrize("writes", [0.0, 0.005, 0.02, 1.0])
def test_as_many_calls_change_something_as_is_said(network: Network, writes: float) -> None:
    calls = [call for seed in range(400) for call in base_station.workload(network, seed, writes)]
    assert len(calls) == 400 * base_station.CALLS
    share = sum(call.name in ("set_parameter", "set_antenna_tilt") for call in calls) / len(calls)
    assert share == pytest.approx(writes, rel=0.25)


def test_calls_are_understood_but_for_a_few_wrong_ones(network: Network) -> None:
    tools, errors = toolkit(), Counter[CallError | None]()
    for seed in range(20):
        world = network.fork()
        for call in base_station.workload(network, seed, 0.05):
            errors[tools.execute(world, call).error] += 1
    # A tilt set twice, an alarm that is not there: refused, as at work.
    assert set(errors) <= {None, CallError.REFUSED, CallError.INVALID_ARGUMENTS}
    assert errors[None] > 0.85 * errors.total()
    assert 0.005 < errors[CallError.INVALID_ARGUMENTS] / errors.total() < 0.05


def test_writes_change_what_cells_radiate(network: Network) -> None:
    world = network.fork()
    for call in base_station.workload(network, 3, 1.0):
        toolkit().execute(world, call)
    changed = world.changed_objects().values()
    assert len(changed) > 20 and len(world.epochs) > 20


def test_no_two_episodes_are_the_same(network: Network) -> None:
    one, other = (base_station.workload(network, seed) for seed in (1, 2))
    assert [call.arguments for call in one] != [call.arguments for call in other]
    again = base_station.workload(network, 1)
    assert one == again


def test_rates_are_of_what_was_timed() -> None:
    runs = iter(range(1_000))

    def run() -> Sample:
        next(runs)
        return Sample(10, 0.25)

    rate = rate_of(Job(run), seconds=1.0, repeats=3)
    assert rate[:3] == (40.0, 40.0, 40.0)
    assert next(runs) == 1 + 3 * 4, "one run to warm up, four for each second"
    assert rate.as_dict() == {"median": 40.0, "lowest": 40.0, "highest": 40.0, "milliseconds": 25.0}


def test_single_runs_give_a_median_of_runs() -> None:
    times = iter([9.0, 1.0, 2.0, 10.0, 2.0, 1.0])
    rate = rate_of(Job(lambda: Sample(1, next(times)), single=True, note="x"), seconds=0.1, repeats=5)
    assert rate == (0.5, 0.1, 1.0, "x")


def test_environments_without_an_oracle_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BaseStation, "hint", lambda *_: None)
    with pytest.raises(ConfigurationError, match="no oracle"):
        episodes.jobs(BaseStation(count=2))
