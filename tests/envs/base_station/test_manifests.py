"""The manifests of the sets for evaluation: they name the tasks that are made, and give nothing away."""

from __future__ import annotations

from itertools import combinations

import pytest

from telegym.core.manifest import Manifest, shipped_manifest, shipped_manifests
from telegym.envs.base_station.environment import BaseStation
from telegym.envs.base_station.faults import fault_infos
from telegym.envs.base_station.tasks import HELD_OUT_COMBINATIONS, SPLITS

SHIPPED = shipped_manifests("base-station")
FIRST = 3


def of(split: str) -> Manifest:
    return shipped_manifest("base-station", split)


@pytest.mark.parametrize("split", SHIPPED)
def test_the_first_tasks_are_still_the_same(split: str) -> None:
    known = of(split)
    environment = BaseStation(**known.options)
    assert known.options == {"split": split, "count": len(known.tasks)}
    assert known.differences(environment.tasks[:FIRST]) == []
    assert known.problem() is None


@pytest.mark.parametrize("split", SHIPPED)
def test_nothing_is_said_of_causes(split: str) -> None:
    text = SHIPPED[split].read_text(encoding="utf-8")
    assert split in SPLITS
    assert not [word for word in (*fault_infos(), *HELD_OUT_COMBINATIONS) if f'"{word}"' in text or f"{word}:" in text]
    assert not [word for word in ("cause", "labels", "ticket", "archetype", "S0", "region") if word in text]


def test_no_task_is_in_two_sets() -> None:
    hashes = {split: {entry.hash for entry in of(split).tasks} for split in SHIPPED}
    assert all(len(found) == len(of(split).tasks) for split, found in hashes.items())
    assert not [pair for pair in combinations(hashes, 2) if hashes[pair[0]] & hashes[pair[1]]]
