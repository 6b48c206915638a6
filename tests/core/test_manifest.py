"""Manifests: the same tasks have the same hashes, any other task has another."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telegym.core.errors import ConfigurationError
from telegym.core.manifest import Manifest, make_manifest, shipped_manifest, shipped_manifests, task_hash
from telegym.core.task import Task

TASKS = [Task(id=f"t{index}", ticket=f"Number {index}", data={"value": index}) for index in range(4)]


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = make_manifest("toy", TASKS, {"seed": 1}, "test")
    made.write(tmp_path / "toy.json")
    assert Manifest.read(tmp_path / "toy.json") == made
    assert len((tmp_path / "toy.json").read_text().splitlines()) == len(TASKS) + 2
    assert made.problem() is None
    assert made.differences(TASKS) == []


def test_what_differs_is_named() -> None:
    made = make_manifest("toy", TASKS)
    other = [TASKS[0], TASKS[1].model_copy(update={"ticket": "?"}), TASKS[2].model_copy(update={"id": "x"}), TASKS[3]]
    assert made.differences(other) == ["t1: is another task", "t2: is now x"]


@given(st.sampled_from(["ticket", "labels", "data"]), st.text(min_size=1))
def test_every_part_of_a_task_counts(name: str, text: str) -> None:
    changed = TASKS[0].model_copy(update={name: text + "!" if name == "ticket" else {"new": text}})
    assert task_hash(changed) != task_hash(TASKS[0])


def test_the_order_counts_for_all_together() -> None:
    assert make_manifest("toy", TASKS).hash != make_manifest("toy", TASKS[::-1]).hash


def test_a_manifest_that_was_changed_by_hand_is_noticed() -> None:
    made = make_manifest("toy", TASKS)
    assert made.model_copy(update={"tasks": made.tasks[:-1]}).problem() is not None
    assert "twice" in str(make_manifest("toy", [*TASKS, TASKS[0]]).problem())


def test_mistakes_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"tasks": 3}')
    with pytest.raises(ConfigurationError, match="is no manifest"):
        Manifest.read(tmp_path / "bad.json")
    with pytest.raises(ConfigurationError, match="is no manifest"):
        Manifest.read(tmp_path / "nowhere.json")
    with pytest.raises(ConfigurationError, match="no manifest of 'test' comes with toy; valid: none"):
        shipped_manifest("toy", "test")
    assert shipped_manifests("toy") == {}
