"""Native tasks: deterministic, distinct, disjoint, lazy, and sound."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import Counter
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.errors import ConfigurationError, TaskError
from telegym.core.task import Task, TaskSet
from telegym.envs.tau2_telecom.composition import FAMILIES, Composition, compositions, held_out
from telegym.envs.tau2_telecom.native import SPLITS, NativeTasks, make_task
from telegym.envs.tau2_telecom.scenario import UserScenario
from telegym.envs.tau2_telecom.world import TelecomWorld
from tests.envs.tau2_telecom.playing import ENVIRONMENT

ALL = [each for family in FAMILIES for each in compositions(family)]


def composition_of(task: Task) -> Composition:
    family = next(each for each in FAMILIES if each == task.labels["family"])
    faults = task.labels["faults"]
    assert isinstance(faults, list)
    return Composition(family, tuple(faults))


def test_same_arguments_same_tasks_in_another_process() -> None:
    code = (
        "from telegym.envs.tau2_telecom.native import NativeTasks\n"
        "import hashlib\n"
        "text = ''.join(task.model_dump_json() for task in NativeTasks(7, 'dev', 5))\n"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "1")
    }
    assert len(digests) == 1


def test_seeds_and_splits_give_other_tasks() -> None:
    tickets = {task.ticket for split in SPLITS for seed in (0, 1) for task in NativeTasks(seed, split, 40)}
    assert len(tickets) == len(SPLITS) * 2 * 40


def test_compositions_of_the_splits() -> None:
    for split in ("train", "dev", "test"):
        assert not any(held_out(composition_of(task)) for task in NativeTasks(0, split, 60))
    assert all(held_out(composition_of(task)) for task in NativeTasks(0, "test-compositions", 60))


def test_faults_families_and_hand_overs_are_mixed() -> None:
    ids = NativeTasks(0, "train", 3000).ids
    families = Counter(task_id[1 : task_id.index("]")] for task_id in ids)
    assert set(families) == set(FAMILIES) and min(families.values()) > 600
    sizes = Counter(task_id.count("|") + 1 for task_id in ids)
    assert set(sizes) == set(range(1, 10))
    unfixable = ("lock_sim", "contract_end", "no_refuel")
    assert 0.08 < sum(any(name in task_id for name in unfixable) for task_id in ids) / 3000 < 0.25


def test_ids() -> None:
    tasks = NativeTasks(0, "train", 30)
    pattern = r"\[\w+\]\w+(\|\w+)*\[PERSONA:(None|Easy|Hard)\]#train-\d{6}"
    assert all(re.fullmatch(pattern, task_id) for task_id in tasks.ids)
    assert [task.id for task in tasks] == list(tasks.ids)


def test_a_task_set_like_any_other() -> None:
    tasks = NativeTasks(0, "dev", 12)
    assert len(tasks) == 12
    assert tasks[3] is tasks.by_id(tasks.ids[3]) and tasks[-1].id == tasks.ids[-1]
    members: list[Any] = [tasks.ids[3], tasks[3]]
    assert all(member in tasks for member in members) and cast(Any, "nothing") not in tasks
    assert isinstance(tasks[2:5], TaskSet) and tasks[2:5].ids == tasks.ids[2:5]
    assert tasks.filter(lambda task: task.id == tasks.ids[4]).ids == (tasks.ids[4],)
    with pytest.raises(IndexError):
        tasks[12]


def test_unknown_ids() -> None:
    tasks = NativeTasks(0, "dev", 12)
    wrong = tasks.ids[0].replace("dev", "train")
    with pytest.raises(TaskError, match="an id is"):
        tasks.by_id(wrong)
    with pytest.raises(TaskError, match=re.escape(f"Did you mean '{tasks.ids[0]}'")):
        tasks.by_id(f"{tasks.ids[0]}0")


def test_tasks_are_made_when_asked_for() -> None:
    begun = time.process_time()
    tasks = NativeTasks(0, "train", 10_000_000)
    last = tasks[9_999_999]
    assert last.id.endswith("#train-9999999") and tasks.by_id(last.id) is last
    assert time.process_time() - begun < 1.0


def test_written_and_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("tasks") / "tasks.jsonl"
    tasks = NativeTasks(0, "train", 5)
    tasks[0:5].write_jsonl(file)
    assert list(TaskSet.read_jsonl(file)) == list(tasks)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"split": "tset"}, "Did you mean 'test'"),
        ({"count": -1}, "must not be negative"),
        ({"max_faults": 0}, "1 to 9"),
        ({"max_faults": 1, "split": "test-compositions"}, "2 to 9"),
        ({"families": ("mms",)}, "Did you mean 'mms_issue'|no family 'mms'"),
        ({"families": ()}, "families is empty"),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        NativeTasks(**arguments)  # type: ignore[arg-type]


def test_fewer_faults_and_families() -> None:
    tasks = NativeTasks(0, "train", 200, max_faults=2, families=("service_issue",))
    assert {task_id.count("|") for task_id in tasks.ids} == {0, 1}
    assert all(task_id.startswith("[service_issue]") for task_id in tasks.ids)


def healthy(task: Task) -> TelecomWorld:
    """The world of a task without its faults."""
    records = task.data["records"]
    world = TelecomWorld.from_records(records["agent"], records["user"])
    for call in task.initialization:
        if call.name in ("set_user_info", "set_user_location"):
            world.run(call.target, call.name, call.arguments)
    world.run("user", "turn_roaming_on", {})
    world.run("assistant", "enable_roaming", own_line(task))
    return world


def own_line(task: Task) -> dict[str, str]:
    subject = ENVIRONMENT.case(task).subject
    return {"customer_id": subject.customer_id, "line_id": subject.line_id}


def holds(world: TelecomWorld, task: Task, *but: str) -> bool:
    asked = [each for each in task.assertions if each.name not in but]
    return all(world.run(each.target, each.name, each.arguments) == each.expected for each in asked)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ALL), st.integers(0, 10**6))
def test_healthy_passes_faulted_fails_reference_restores(composition: Composition, seed: int) -> None:
    task = make_task(composition, seed=seed)
    world = ENVIRONMENT.build_world(task)
    if composition.expected_failure:
        assert holds(world, task)
        assert not holds(healthy(task), task)
        return
    assert holds(healthy(task), task, "assert_data_refueling_amount")
    for action in task.actions:
        assert not holds(world, task)
        world.run(action.requestor, action.name, action.arguments)
    assert holds(world, task)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(ALL), st.integers(0, 10**6))
def test_ticket_and_scenario_carry_the_facts(composition: Composition, seed: int) -> None:
    task = make_task(composition, seed=seed)
    world = ENVIRONMENT.build_world(task)
    scenario = UserScenario.model_validate(task.data["scenario"])
    around = world.state.surroundings
    assert (scenario.name, scenario.phone_number) == (around.name, around.phone_number)
    assert scenario.name in task.ticket and scenario.phone_number in task.ticket
    assert scenario.family == composition.family
    if composition.family == "service_issue":
        assert scenario.location is None and scenario.pays_bills and scenario.refuel_gb is None
        return
    assert scenario.abroad == around.is_abroad and scenario.location and scenario.location in task.ticket
    assert f"refuel {scenario.refuel_gb} GB" in scenario.task_instructions
    if f"{scenario.refuel_gb} GB" not in task.ticket:
        assert composition.family == "mms_issue" and scenario.refuel_gb == 2.0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_records_have_the_published_shapes(seed: int) -> None:
    task = make_task(ALL[seed % len(ALL)], seed=seed)
    agent = task.data["records"]["agent"]
    customers, lines, bills = agent["customers"], agent["lines"], agent["bills"]
    assert 3 <= len(customers) <= 6
    assert all(re.fullmatch(r"C\d{4}", each["customer_id"]) for each in customers)
    assert all(re.fullmatch(r"L\d{4}", each["line_id"]) for each in lines)
    assert all(re.fullmatch(r"\d{3}-\d{3}-\d{4}", each["phone_number"]) for each in (*customers, *lines))
    assert all(re.fullmatch(r"B\d{4}", each["bill_id"]) for each in bills)
    assert len({each["phone_number"] for each in lines}) == len(lines)
    assert sorted(line for each in customers for line in each["line_ids"]) == sorted(each["line_id"] for each in lines)
    assert sorted(bill for each in customers for bill in each["bill_ids"]) == sorted(each["bill_id"] for each in bills)
    assert json.loads(task.model_dump_json()) == task.model_dump(mode="json")


def test_some_carriers_number_one_after_the_other() -> None:
    """Ids that differ in their last digits only are there to be told from one another, beside ids drawn at random."""
    tasks = NativeTasks(seed=5, split="train", count=200, consecutive=0.4)
    consecutive = 0
    for task in tasks:
        agent = task.data["records"]["agent"]
        ids = [int(each["line_id"][1:]) for each in agent["lines"]]
        numbers = {int(each["phone_number"][-4:]) for each in agent["lines"]}
        if ids == list(range(ids[0], ids[0] + len(ids))) and len(ids) > 2:
            consecutive += 1
            assert max(numbers) - min(numbers) < len(ids) + len(agent["customers"])
    assert 0.3 < consecutive / len(tasks) < 0.5
