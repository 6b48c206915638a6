"""The environment: options, texts, tasks, worlds."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from telegym.agents.users.scripted import ScriptedUser
from telegym.core.environment import Environment
from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError, TaskError
from telegym.core.task import Task
from telegym.envs.registry import make_environment
from telegym.envs.tau2_telecom.case import Case
from telegym.envs.tau2_telecom.environment import GREETING, Tau2Telecom
from telegym.envs.tau2_telecom.phrases import policy_file
from tests.envs.tau2_telecom.playing import ENVIRONMENT, identify, message_of, play, task_of


def test_made_by_name_with_options() -> None:
    environment = make_environment("tau2-telecom", split="dev", count=3, seed=4, max_faults=2)
    assert isinstance(environment, Tau2Telecom)
    assert len(environment.tasks) == 3 and environment.tasks[0].labels["split"] == "dev"


def test_options_build_an_equal_environment() -> None:
    environment = Tau2Telecom(split="test", mode="dual", scoring="benchmark", policy="workflow", count=4, seed=9)
    again = make_environment("tau2-telecom", **json.loads(json.dumps(environment.options)))
    assert again.options == environment.options
    assert list(again.tasks) == list(environment.tasks)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"source": "nativ"}, "source is 'nativ'; valid: native, benchmark, recombined. Did you mean 'native'"),
        ({"mode": "dul"}, "Did you mean 'dual'"),
        ({"scoring": "strct"}, "Did you mean 'strict'"),
        ({"policy": "workflows"}, "Did you mean 'workflow'"),
        ({"split": "tarin"}, "Did you mean 'train'"),
        ({"count": -3}, "must not be negative"),
        ({"source": "benchmark"}, "needs data"),
        ({"data": "somewhere"}, "goes with source='benchmark' or 'recombined'"),
        ({"source": "benchmark", "data": "/nowhere"}, "does not exist"),
        (
            {"mode": "dual", "user": "scriptd"},
            "user is 'scriptd'; valid: scripted, openai:MODEL. Did you mean 'scripted'",
        ),
        ({"user": "openai:"}, "valid: scripted, openai:MODEL"),
        ({"spilt": "train"}, "Did you mean 'split'"),
    ],
)
def test_wrong_options(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        make_environment("tau2-telecom", **options)


def test_benchmark_splits(tau2_data: Path) -> None:
    environment = Tau2Telecom(source="benchmark", data=str(tau2_data))
    assert environment.tasks.ids == Tau2Telecom(source="benchmark", data=str(tau2_data), split="base").tasks.ids
    assert len(Tau2Telecom(source="benchmark", data=str(tau2_data), split="all").tasks) > len(environment.tasks)
    with pytest.raises(ConfigurationError, match=r"Did you mean 'train'.*Or 'all'"):
        Tau2Telecom(source="benchmark", data=str(tau2_data), split="trian")


def test_alone_the_agent_gets_ticket_and_44_tools() -> None:
    task = task_of("service_issue", "airplane_mode_on")
    episode = Episode(ENVIRONMENT, task)
    assert [(message.role, message.content) for message in episode.agent_messages()] == [("user", task.ticket)]
    assert len(episode.toolkit.names) == 44 and "done" in episode.toolkit
    assert ENVIRONMENT.text_ends_episode and ENVIRONMENT.user(task, 0) is None


def test_with_a_user_the_agent_greets_and_cannot_reach_the_phone() -> None:
    environment = Tau2Telecom(count=0, mode="dual")
    task = task_of("service_issue", "airplane_mode_on")
    assert [message.content for message in environment.opening(task)] == [GREETING]
    toolkit = environment.toolkit(task)
    assert len(toolkit.names) == 43 and len(toolkit.schemas("assistant")) == 13
    episode = Episode(environment, task)
    assert isinstance(environment.user(task, 0), ScriptedUser)
    assert [message.role for message in episode.agent_messages()] == ["assistant", "user"]
    assert not environment.text_ends_episode and environment.expert(episode).content


@pytest.mark.parametrize("mode", ["solo", "dual"])
@pytest.mark.parametrize("policy", ["manual", "workflow"])
def test_policy_texts(mode: Any, policy: Any) -> None:
    environment = Tau2Telecom(count=0, mode=mode, policy=policy)
    text = environment.instructions(task_of("service_issue", "airplane_mode_on"))
    assert text.startswith("<main_policy>\n") and text.endswith("\n</tech_support_policy>")
    assert "2025-02-25, 12:08:00 EST" in text and "`reset_apn_settings`" in text
    assert ("`done`" in text) == (mode == "solo")
    assert ("## Path 1" in text) == (policy == "workflow")


def test_policies_name_only_tools_that_exist() -> None:
    import re

    names = set(ENVIRONMENT.toolkit(task_of("service_issue", "airplane_mode_on")).names)
    files = ("main_policy", "main_policy_solo", "tech_manual", "tech_workflow", "tech_workflow_solo")
    quoted = {word for file in files for word in re.findall(r"`([a-z_]+)`", policy_file(file))}
    not_tools = {"internet", "storage", "sms", "messaging"}
    assert quoted - not_tools <= names
    manual = policy_file("tech_manual")
    phone = {tool for tool in names if tool.startswith(("check_", "toggle_"))} - {"check_payment_request"}
    assert all(f"`{tool}`" in manual for tool in phone)


def test_benchmark_policy_is_the_folders(tau2_data: Path) -> None:
    environment = Tau2Telecom(source="benchmark", data=str(tau2_data), policy="workflow")
    folder = tau2_data / "data" / "tau2" / "domains" / "telecom"
    text = environment.instructions(environment.tasks[0])
    for name in ("main_policy_solo", "tech_support_workflow_solo"):
        assert (folder / f"{name}.md").read_text(encoding="utf-8").strip() in text


def test_worlds_are_independent() -> None:
    task = task_of("service_issue", "airplane_mode_on")
    first, second = ENVIRONMENT.build_world(task), ENVIRONMENT.build_world(task)
    first.run("user", "toggle_airplane_mode", {})
    assert first.state_hash() != second.state_hash() == ENVIRONMENT.build_world(task).state_hash()


def test_beginning_again_is_fast() -> None:
    tasks = [task_of("mms_issue", "bad_wifi_calling", seed=seed) for seed in range(20)]
    for task in tasks:
        Episode(ENVIRONMENT, task)
    begun = time.process_time()
    for _ in range(25):
        for task in tasks:
            Episode(ENVIRONMENT, task)
    assert (time.process_time() - begun) / 500 < 2e-4


def test_a_task_without_a_user_is_the_tasks_fault() -> None:
    task = task_of("service_issue", "airplane_mode_on")
    nobody = task.model_copy(update={"data": {"records": task.data["records"]}})
    with pytest.raises(TaskError, match="nobody knows its user"):
        Case.of(nobody, ENVIRONMENT.build_world(nobody))
    stray = task.model_copy(update={"initialization": ()})
    with pytest.raises(TaskError, match="belongs to no customer's line"):
        Case.of(stray, ENVIRONMENT.build_world(stray))


def test_agreed_data_of_the_benchmark(tau2_data: Path) -> None:
    environment = Tau2Telecom(source="benchmark", data=str(tau2_data), split="all")
    for task in environment.tasks:
        case = environment.case(task)
        assert case.agreed_gb == (0.0 if case.family == "service_issue" else 2.0), task.id
        assert case.subject.phone_number == "555-123-2002" and case.subject.line_id == "L1002"


def test_fork_and_undo_keep_the_score() -> None:
    task = task_of("service_issue", "airplane_mode_on")
    episode = play(task, identify(task), "toggle_data")
    fork = episode.fork()
    fork.step(message_of(8, "toggle_airplane_mode"))
    fork.step(message_of(9, "done"))
    assert not fork.score().success
    episode.undo()
    episode.step(message_of(8, "toggle_airplane_mode"))
    episode.step(message_of(9, "done"))
    assert episode.score().success


def test_an_environment_by_type() -> None:
    assert isinstance(ENVIRONMENT, Environment) and Tau2Telecom.id == "tau2-telecom"
    assert isinstance(Tau2Telecom(count=1).tasks[0], Task)
