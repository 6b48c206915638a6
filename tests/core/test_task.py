from __future__ import annotations

from pathlib import Path

import pytest

from telegym.core.errors import TaskError, did_you_mean
from telegym.core.task import Assertion, FunctionCall, Task, TaskSet
from telegym.core.world import Change, canonical_json, diff_states

TASKS = TaskSet(
    [Task(id=name, ticket=f"Mend {name}.") for name in ("alpha", "beta", "gamma")], {"train": ["gamma", "alpha"]}
)


def test_tasks_are_found_by_position_id_and_split() -> None:
    assert TASKS[1].id == "beta" and TASKS.by_id("gamma") is TASKS[2]
    assert TASKS[1:].ids == ("beta", "gamma")
    assert TASKS.split("train").ids == ("alpha", "gamma")
    assert "alpha" in TASKS and "delta" not in TASKS and TASKS[0] in TASKS  # type: ignore[comparison-overlap]


def test_errors_name_the_nearest() -> None:
    with pytest.raises(TaskError, match=r"no task 'alpa' among the 3 tasks of this set. Did you mean 'alpha'"):
        TASKS.by_id("alpa")
    with pytest.raises(TaskError, match=r"valid splits: train. Did you mean 'train'"):
        TASKS.split("tain")
    with pytest.raises(TaskError, match="unique"):
        TaskSet([TASKS[0], TASKS[0]])
    with pytest.raises(TaskError, match="names task 'delta'"):
        TaskSet(list(TASKS), {"test": ["delta"]})
    assert did_you_mean("qqq", ["alpha"]) == ""


def test_jsonl_round_trip(tmp_path: Path) -> None:
    call = FunctionCall(target="user", name="f", arguments={"a": [1, None]})
    rich = Task(
        id="é", ticket="ü\n", initialization=(call,), assertions=(Assertion(target="user", name="g", expected=False),)
    )
    TaskSet([rich, *TASKS]).write_jsonl(tmp_path / "t.jsonl")
    assert list(TaskSet.read_jsonl(tmp_path / "t.jsonl")) == [rich, *TASKS]
    (tmp_path / "t.jsonl").write_text('{"id": "x"}\n')
    with pytest.raises(TaskError, match="line 1: not a task"):
        TaskSet.read_jsonl(tmp_path / "t.jsonl")


def test_differences_are_leaves_with_paths() -> None:
    before = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    after = {"a": {"b": 2, "c": [1, 3]}, "d": 1.0, "e": None}
    assert list(diff_states(before, after)) == [Change("a.b", 1, 2), Change("a.c.1", 2, 3), Change("d", 1, 1.0)]
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"x": float("nan")})
