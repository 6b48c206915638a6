"""Shortcuts of the radio model change nothing: hours together, layers made from others, bisection with a guess."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import pairwise
from weakref import WeakValueDictionary

import numpy as np
import pytest

from telegym.envs.base_station import radio
from telegym.envs.base_station.memory import Latest, Recent
from telegym.envs.base_station.objects import Emitter
from telegym.envs.base_station.physics import load
from telegym.envs.base_station.region import Region, build_region
from telegym.envs.base_station.view import View

from .views import healthy, with_cell, with_emitter, with_link

CELL, OTHER = "S001-L18-1", "S002-N35-2"
EMITTER = Emitter("EMI-1", x_m=60.0, y_m=-90.0, layers=("L18", "N35"), power_dbm=-70.0, first_prb=0, last_prb=40)


@pytest.fixture
def region() -> Region:
    return build_region("U1", 0)


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    forget(monkeypatch)
    yield


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_VIEWS", "_NETWORKS"):
        monkeypatch.setattr(radio, name, Recent(1 << 24))
    for name in ("_LATEST", "_LATEST_VIEWS"):
        monkeypatch.setattr(radio, name, Latest(256))
    monkeypatch.setattr(radio, "_LAYERS", WeakValueDictionary())


def situations(region: Region) -> Iterator[View]:
    """Yield views that follow one another, as if somebody changed one thing after the other."""
    view = healthy(region)
    yield view
    view = with_cell(view, CELL, {"max_tx_power_dbm": 40.0})
    yield view
    view = with_cell(view, CELL, tilt_deg=9.0)
    yield view
    view = with_cell(view, OTHER, on_air=False)
    yield view
    view = with_cell(with_emitter(view, EMITTER), "S003-L8-1", pim_dbm=-95.0)
    yield view
    view = with_cell(view, OTHER, on_air=True, phase_us=4.0)
    yield view
    yield with_link(view, next(iter(view.links)), up=False)
    yield with_cell(view, CELL, azimuth_deg=10.0, capability=0.5)
    yield healthy(region)


def values(hour: radio.Hour) -> list[object]:
    """Return everything an hour holds, to be compared bit for bit."""
    found: list[object] = [hour.links, hour.sites]
    for layer in hour.layers.values():
        for field in dataclasses.fields(layer):
            value = getattr(layer, field.name)
            parts = dataclasses.astuple(value) if field.name == "solved" else (value,)
            found += [part.tobytes() if isinstance(part, np.ndarray) else part for part in parts]
    return found


def test_hours_together_are_hours_one_by_one(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = (19, 3, 100, 43, 19, 120)
    for view in situations(region):
        together = [values(hour) for hour in radio.hours(region, view, wanted)]
        forget(monkeypatch)
        assert together == [values(radio.hour(region, view, hour)) for hour in wanted]
        forget(monkeypatch)
        assert together[2] == values(radio.hours(region, view, (5, 100))[1])


def test_what_was_computed_before_does_not_matter(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    one_after_the_other = [values(radio.hour(region, view, 20)) for view in situations(region)]
    fresh = []
    for view in situations(region):
        forget(monkeypatch)
        fresh.append(values(radio.hour(region, view, 20)))
    assert one_after_the_other == fresh
    assert fresh[0] == fresh[-1]
    assert all(one != other for one, other in pairwise(fresh))


def test_layers_that_did_not_change_are_not_computed_again(region: Region) -> None:
    views = list(situations(region))
    before, after = (radio.hour(region, view, 20).layers for view in views[:2])
    assert before["L8"] is after["L8"] and before["N35"] is after["N35"]
    assert before["L18"] is not after["L18"]


@pytest.mark.parametrize("archetype", ["U1", "S1", "R1", "X3"])
def test_demand_is_that_of_bisection(archetype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    region = build_region(archetype, 5)
    tag = region.kind.layers[-1]
    quick = radio.busy_demand_mbps(region, tag)
    solved = 0

    def counting(coverage: load.Coverage, demands: np.ndarray) -> list[load.LayerLoad]:
        nonlocal solved
        solved += 1
        return load.solve_all(coverage, demands)

    monkeypatch.setattr(radio, "solve_all", counting)
    radio._healthy_demand.cache_clear()
    assert np.array_equal(radio.busy_demand_mbps(region, tag), quick)
    assert solved < 40
    monkeypatch.setattr(radio, "_crossing", lambda function, low, high, near: (low, high))
    radio._healthy_demand.cache_clear()
    assert np.array_equal(radio.busy_demand_mbps(region, tag), quick), "every step of the bisection solved"
    assert solved > 72
