from __future__ import annotations

import copy
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from telegym.core.errors import TaskError
from telegym.core.task import FunctionCall, Task
from telegym.envs.tau2_telecom.benchmark import Tau2Benchmark, build_world, find_domain_folder, parse_task
from tests.envs.tau2_telecom.small import NUMBER, STATE, agent_records

DB = """
[[plans]]
plan_id = "P1"
name = "Plan"
data_limit_gb = 10
price_per_month = 50.0
data_refueling_price_per_gb = 2.5

[[lines]]
line_id = "L1"
phone_number = "555-010-0001"
status = "Active"
plan_id = "P1"
contract_end_date = 2026-01-31

[[customers]]
customer_id = "C1"
full_name = "Ada Byron"
date_of_birth = "1990-12-10"
email = "ada@example.org"
phone_number = "555-010-0001"
line_ids = ["L1"]
created_at = "2025-01-15T10:30:00"

[customers.address]
street = "1 Main Street"
city = "Town"
state = "XX"
zip_code = "00001"
"""

RECORD: dict[str, Any] = {
    "id": "[mms_issue]data_mode_off|unseat_sim_card[PERSONA:Hard]",
    "description": {"purpose": "x"},
    "ticket": "Pictures do not go out.",
    "initial_state": {
        "initialization_data": None,
        "initialization_actions": [
            {
                "env_type": "user",
                "func_name": "set_user_info",
                "arguments": {"name": "Ada Byron", "phone_number": NUMBER},
            },
            {"env_type": "user", "func_name": "turn_data_off", "arguments": {}},
        ],
        "message_history": None,
    },
    "evaluation_criteria": {
        "actions": [
            {"action_id": "toggle_data_0", "requestor": "user", "name": "toggle_data", "arguments": {}, "info": None},
            {
                "action_id": "t",
                "requestor": "assistant",
                "name": "transfer_to_human_agents",
                "arguments": {"summary": "s"},
                "compare_args": [],
            },
        ],
        "env_assertions": [
            {"env_type": "user", "func_name": "assert_can_send_mms", "arguments": {"expected_status": True}}
        ],
        "reward_basis": ["ENV_ASSERTION", "ACTION"],
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tau2-bench checkout with one task."""
    domain = tmp_path / "data" / "tau2" / "domains" / "telecom"
    domain.mkdir(parents=True)
    (domain / "db.toml").write_text(DB)
    (domain / "tasks.json").write_text(json.dumps([RECORD]))
    (domain / "main_policy_solo.md").write_text("Be kind.")
    (domain / "tech_support_manual.md").write_text("Reboot.")
    return tmp_path


def domain_of(folder: Path) -> Path:
    return folder / "data" / "tau2" / "domains" / "telecom"


def write_tasks(folder: Path, *records: Any) -> None:
    (domain_of(folder) / "tasks.json").write_text(json.dumps(list(records)))


@pytest.mark.parametrize("below", [".", "data", "data/tau2", "data/tau2/domains", "data/tau2/domains/telecom"])
def test_the_folder_is_found_from_any_level(folder: Path, below: str) -> None:
    assert find_domain_folder(folder / below).resolve() == domain_of(folder).resolve()
    assert len(Tau2Benchmark(folder / below).tasks) == 1


def test_a_missing_folder_says_where_was_looked(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"looked for tasks.json and db.toml in .*data/tau2/domains/telecom"):
        Tau2Benchmark(tmp_path)
    with pytest.raises(TaskError, match="does not exist"):
        Tau2Benchmark(tmp_path / "nowhere")


def test_a_record_becomes_a_task(folder: Path) -> None:
    task = Tau2Benchmark(folder).tasks[0]
    assert task.labels == {
        "family": "mms_issue",
        "persona": "Hard",
        "faults": ["data_mode_off", "unseat_sim_card"],
        "expected_failure": True,
    }
    assert task.ticket == "Pictures do not go out."
    assert task.initialization[1] == FunctionCall(target="user", name="turn_data_off")
    assert task.actions[0].compare_arguments is None
    assert task.actions[1].compare_arguments == ()
    assert task.assertions[0].expected is True
    assert task.data["record"] == RECORD
    assert task.data["reward_basis"] == ["ENV_ASSERTION", "ACTION"]


def test_sparse_tasks_with_any_id_are_read(folder: Path) -> None:
    write_tasks(folder, {"id": "my own\n[task] 7", "evaluation_criteria": None, "user_tools": ["x"]})
    benchmark = Tau2Benchmark(folder)
    task = benchmark.tasks[0]
    assert task.labels["family"] is None
    assert task.labels["expected_failure"] is False
    assert benchmark.build_world(task).surroundings.phone_number is None


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("initial_state", "initialization_actions", 0, "env_type"), "usr", "initialization_actions.0.env_type"),
        (("evaluation_criteria", "actions", 0, "name"), 5, "actions.0.name"),
        (("evaluation_criteria", "env_assertions"), {"a": 1}, "env_assertions"),
        (("id",), None, "id"),
    ],
)
def test_broken_tasks_are_named_with_their_file(folder: Path, path: tuple[Any, ...], value: Any, message: str) -> None:
    record = copy.deepcopy(RECORD)
    place: Any = record
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    write_tasks(folder, RECORD, record)
    with pytest.raises(TaskError, match=rf"tasks\.json: task 1 .*{message}"):
        Tau2Benchmark(folder)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("tasks.json", "{", "tasks.json: cannot be read"),
        ("tasks.json", "{}", "must hold a list"),
        ("tasks.json", "[5]", "task 0"),
        ("db.toml", "plans = ", "db.toml: cannot be read"),
        ("db.toml", DB.replace('status = "Active"', 'status = "Fine"'), r"lines\[0\].*status"),
        ("user_db.toml", "[device]\nairplane = true", "airplane"),
        ("split_tasks.json", "[]", "split_tasks.json"),
    ],
)
def test_broken_files_are_named(folder: Path, file: str, text: str, message: str) -> None:
    (domain_of(folder) / file).write_text(text)
    with pytest.raises(TaskError, match=message):
        Tau2Benchmark(folder)


def test_an_id_that_occurs_twice_is_an_error(folder: Path) -> None:
    write_tasks(folder, RECORD, RECORD)
    with pytest.raises(TaskError, match=r"tasks\.json: .*unique"):
        Tau2Benchmark(folder)


def test_splits_leave_out_tasks_that_are_not_there(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (domain_of(folder) / "split_tasks.json").write_text(json.dumps({"base": [RECORD["id"], "other"], "none": []}))
    with caplog.at_level(logging.WARNING):
        tasks = Tau2Benchmark(folder).tasks
    assert tasks.splits == {"base": (RECORD["id"],), "none": ()}
    assert "1 entries" in caplog.text


def test_policies_are_wrapped_and_missing_ones_named(folder: Path) -> None:
    benchmark = Tau2Benchmark(folder)
    text = benchmark.policy(solo=True)
    assert text.startswith("<main_policy>\nBe kind.\n</main_policy>")
    assert "<tech_support_policy>\nReboot.\n</tech_support_policy>" in text
    with pytest.raises(TaskError, match=r"no main_policy.md; there are: main_policy_solo, tech_support_manual"):
        benchmark.policy()


def test_toml_dates_are_read_like_text(folder: Path) -> None:
    state = Tau2Benchmark(folder).initial_state
    assert state.lines["L1"].contract_end_date == "2026-01-31"
    assert state.customers["C1"].created_at == "2025-01-15 10:30:00"


def test_worlds_of_a_task_are_independent_and_share_their_beginning(folder: Path) -> None:
    benchmark = Tau2Benchmark(folder)
    first, second = (benchmark.build_world(RECORD["id"], seed) for seed in (1, 2))
    assert first.state is second.state
    assert (first.seed, second.seed) == (1, 2)
    assert not first.phone.data_enabled
    first.call_unchecked("user", "toggle_data", {})
    assert not second.phone.data_enabled
    assert not benchmark.build_world(RECORD["id"]).phone.data_enabled


def test_two_tasks_with_one_id_do_not_share_worlds() -> None:
    def task(abroad: bool) -> Task:
        call = FunctionCall(target="user", name="set_user_location", arguments={"abroad": abroad})
        return Task(id="same", ticket="", initialization=(call,))

    assert build_world(STATE, task(True)).surroundings.is_abroad
    assert not build_world(STATE, task(False)).surroundings.is_abroad


def test_a_task_may_bring_its_own_records() -> None:
    records = {"agent": agent_records(), "user": {"device": {"data_saver_mode": True}}}
    world = build_world(None, Task(id="own", ticket="", data={"records": records}))
    assert world.phone.data_saver_mode
    assert "C2" in world.state.customers


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "no initial state was given"),
        ({"records": {"agents": {}}}, "Did you mean 'agent'"),
        ({"records": []}, "must hold 'agent' and 'user'"),
        ({"records": {"agent": {"lines": [{}]}}}, r"lines\[0\].*missing"),
        ({"record": {"initial_state": {"initialization_data": {"user_data": {}}}}}, "initialization_data"),
    ],
)
def test_tasks_without_a_world_are_named(data: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=rf"task 'odd': .*{message}"):
        build_world(None, Task(id="odd", ticket="", data=data))


def test_a_failing_initialisation_names_task_and_function() -> None:
    call = FunctionCall(target="user", name="turn_dta_off")
    with pytest.raises(TaskError, match=r"task 'odd': .*'turn_dta_off'.*Did you mean 'turn_data_off'"):
        build_world(STATE, Task(id="odd", ticket="", initialization=(call,)))


def test_parse_task_wants_an_object() -> None:
    with pytest.raises(TaskError, match=r"line 3 \(id None\)"):
        parse_task("x", "line 3")


def test_the_real_folder(tau2_data: Path, tmp_path: Path) -> None:
    benchmark = Tau2Benchmark(tau2_data)
    assert len(benchmark.tasks) == len(set(benchmark.tasks.ids)) > 0
    assert len(benchmark.tasks.split("small")) == 20
    for task in benchmark.tasks:
        assert task.labels["family"] in ("mobile_data_issue", "service_issue", "mms_issue")
        assert task.labels["persona"] in ("None", "Easy", "Hard")
        assert task.labels["expected_failure"] == (task.data["reward_basis"] == ["ENV_ASSERTION", "ACTION"])
    shutil.copytree(benchmark.path, tmp_path / "telecom")
    assert Tau2Benchmark(tmp_path).tasks.ids == benchmark.tasks.ids
    assert "<main_policy>" in benchmark.policy("workflow", solo=True)
