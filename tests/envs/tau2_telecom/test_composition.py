"""Compositions: the published counts, names and records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from telegym.envs.tau2_telecom.composition import (
    FAMILIES,
    UNSHIPPED_FAULT,
    Composition,
    benchmark_order,
    compositions,
    goal,
    held_out,
    situation,
    solution,
)
from telegym.envs.tau2_telecom.faults import Subject
from telegym.envs.tau2_telecom.scenario import Family

PUBLISHED_SUBJECT = Subject(
    customer_id="C1001",
    line_id="L1002",
    name="John Smith",
    phone_number="555-123-2002",
    bill_id="B1234321",
    data_limit_gb=15.0,
)


def folder(data: Path) -> Path:
    return data / "data" / "tau2" / "domains" / "telecom"


@pytest.mark.parametrize(
    ("family", "count", "shipped"),
    [("service_issue", 47, 47), ("mobile_data_issue", 382, 254), ("mms_issue", 2976, 1984)],
)
def test_counts(family: Family, count: int, shipped: int) -> None:
    assert len(compositions(family)) == count
    assert len(benchmark_order(family)) == shipped
    assert not any(UNSHIPPED_FAULT in each.faults for each, _ in benchmark_order(family))


def test_histogram_of_the_published_file() -> None:
    sizes = [len(each.faults) for family in FAMILIES for each, _ in benchmark_order(family)]
    assert [sizes.count(size) for size in range(1, 10)] == [20, 101, 283, 505, 596, 467, 235, 69, 9]
    failing = [each for family in FAMILIES for each, _ in benchmark_order(family) if each.expected_failure]
    assert len(failing) == 32


def test_personas_take_turns_in_the_complete_list() -> None:
    order = benchmark_order("service_issue")
    assert [persona for _, persona in order[:4]] == ["None", "Easy", "Hard", "None"]
    assert order[0][0] == Composition("service_issue", ("airplane_mode_on",))


def test_held_out_compositions_are_a_published_fifth() -> None:
    for family in FAMILIES:
        found = [each for each in compositions(family) if held_out(each)]
        assert 0.1 < len(found) / len(compositions(family)) < 0.3
        assert all(len(each.faults) > 1 for each in found)
        assert {each.expected_failure for each in found} == {True, False}


def test_records_of_the_published_tasks(tau2_data: Path) -> None:
    known = {f"{each.name}[PERSONA:{who}]": each for family in FAMILIES for each, who in benchmark_order(family)}
    records = json.loads((folder(tau2_data) / "tasks.json").read_text(encoding="utf-8"))
    assert records
    for record in records:
        composition = known[record["id"]]
        assert as_record(composition) == facts_of(record), record["id"]


def test_ids_of_the_published_splits(tau2_data: Path) -> None:
    known = {f"{each.name}[PERSONA:{who}]" for family in FAMILIES for each, who in benchmark_order(family)}
    splits = json.loads((folder(tau2_data) / "split_tasks.json").read_text(encoding="utf-8"))
    assert {task_id for ids in splits.values() for task_id in ids} <= known


def as_record(composition: Composition) -> dict[str, Any]:
    summary = "any"
    return {
        "init": [(each.target, each.name, each.arguments) for each in situation(composition, PUBLISHED_SUBJECT)],
        "actions": [
            (each.id, each.requestor, each.name, None if "summary" in each.arguments else each.arguments)
            for each in solution(composition, PUBLISHED_SUBJECT, summary)
        ],
        "compare": [
            each.compare_arguments if each.compare_arguments is None else list(each.compare_arguments)
            for each in solution(composition, PUBLISHED_SUBJECT, summary)
        ],
        "goal": [
            (each.target, each.name, each.arguments, each.expected) for each in goal(composition, PUBLISHED_SUBJECT)
        ],
    }


def facts_of(record: dict[str, Any]) -> dict[str, Any]:
    criteria = record["evaluation_criteria"]
    calls = record["initial_state"]["initialization_actions"]
    return {
        "init": [(each["env_type"], each["func_name"], each["arguments"]) for each in calls],
        "actions": [
            (
                each["action_id"],
                each["requestor"],
                each["name"],
                None if "summary" in each["arguments"] else each["arguments"],
            )
            for each in criteria["actions"]
        ],
        "compare": [each["compare_args"] for each in criteria["actions"]],
        "goal": [
            (each["env_type"], each["func_name"], each["arguments"], each["assert_value"])
            for each in criteria["env_assertions"]
        ],
    }
