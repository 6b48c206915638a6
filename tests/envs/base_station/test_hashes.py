"""The comparison of hashes finds what differs, and nothing else."""

from __future__ import annotations

import sys
from dataclasses import replace
from enum import Enum

import numpy as np
import pytest

from telegym.envs.base_station.region import build_region
from tests.envs.base_station.hashes import Outcome, different, digest, hashes, hashes_elsewhere


class Colour(Enum):
    RED = "red"


def test_digests_tell_values_apart() -> None:
    values = [1, 1.0, "1", (1,), [1, 1], {"a": 1}, {"a": 2}, np.array([1.0]), np.array([1]), Colour.RED, None]
    assert len({digest(value) for value in values}) == len(values)
    assert digest(np.array([0.0])) == digest(np.array([-0.0])) and digest((1, "x")) == digest([1, "x"])
    assert digest(np.array([1.0])) != digest(np.array([np.nextafter(1.0, 2.0)]))
    assert digest(np.float64(0.5)) == digest(0.5)


def test_a_region_is_hashed_whole() -> None:
    region = build_region("R1", 1)
    assert digest(region) == digest(build_region("R1", 1))
    name, cell = next(iter(region.records.items()))
    changed = {**region.records, name: replace(cell, id="other")}
    assert digest(replace(region, records=changed)) != digest(region)


def test_differences_are_named() -> None:
    outcomes = [Outcome("one", "", "", {"a": "1", "b": "2"}), Outcome("two", "", "", {"a": "1", "b": "3", "c": "4"})]
    assert different(outcomes) == ["b", "c"] and different(outcomes[:1] * 2) == []


@pytest.mark.slow
def test_two_processes_agree() -> None:
    outcomes = [hashes_elsewhere(sys.executable, seed, seeds=1, tasks=3, hash_seed=seed) for seed in ("1", "2")]
    assert different(outcomes) == [] and len(outcomes[0].hashes) > 100
    assert outcomes[0].hashes == hashes(seeds=1, tasks=3)
