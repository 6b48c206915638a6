"""The environment: tasks, texts without leaks, episodes by script and by chance, scores, replays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.agents.base import make_agent
from telegym.agents.rollout import rollout
from telegym.core.episode import EndReason, Episode
from telegym.core.errors import ConfigurationError, TaskError
from telegym.core.messages import Message, ToolCall
from telegym.core.replay import replay
from telegym.core.task import Task
from telegym.envs.base_station.cases import TICKET, build_case, namings, truth_of
from telegym.envs.base_station.environment import BaseStation
from telegym.envs.base_station.faults import fault, fault_codes, fault_infos
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.tasks import HELD_OUT_COMBINATIONS, HELD_OUT_FAULTS, SPLITS, BaseStationTasks

ROOT = Path(__file__).resolve().parents[3]
Call = tuple[str, dict[str, Any]]


@pytest.fixture(scope="module")
def environment() -> BaseStation:
    return BaseStation(split="train", count=400, seed=3, kind="RES,NOF")


def with_cause(environment: BaseStation, code: str) -> Task:
    """Return a task with one cause, reported by a system."""
    return next(
        task
        for task in environment.tasks
        if task.labels["cause"] == code and not task.data["ticket"]["human"] and task.data["combination"] is None
    )


def element_of(task: Task) -> str:
    return str(task.data["faults"][0]["element_id"])


def say(episode: Episode, name: str, arguments: dict[str, Any]) -> str:
    call = ToolCall(id=f"c{episode.turn}", name=name, arguments=arguments)
    answers = episode.step(Message(role="assistant", tool_calls=(call,)))
    return "\n".join(answer.content or "" for answer in answers)


def finish(episode: Episode, code: str, element: str, resolution: str = "fixed_remote") -> None:
    say(episode, "submit_diagnosis", {"ticket_id": TICKET, "root_cause": code, "element_id": element})
    summary = f"{element}: repaired and checked"
    say(episode, "close_ticket", {"ticket_id": TICKET, "resolution": resolution, "summary": summary})


# --- tasks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", SPLITS)
def test_tasks_are_of_their_split(split: str) -> None:
    tasks = BaseStationTasks(1, split, 12)  # type: ignore[arg-type]
    for task in tasks:
        unseen = task.data["archetype"].startswith("X")
        assert unseen == (split == "ood-topology")
        causes = {item["code"] for item in task.data["faults"]}
        if split != "ood-combinations":
            assert bool(causes & HELD_OUT_FAULTS) == (split == "ood-faults")
        assert (task.data["combination"] in HELD_OUT_COMBINATIONS) == (split == "ood-combinations")
        assert tasks.by_id(task.id) == task and task in tasks
    assert len(set(tasks.ids)) == 12


def test_every_family_keeps_causes_to_learn_from() -> None:
    families = {fault_infos()[code].family for code in fault_codes(1)}
    kept = {fault_infos()[code].family for code in set(fault_codes(1)) - HELD_OUT_FAULTS}
    assert families - kept == {"security"}


def test_the_seed_decides_the_tasks() -> None:
    one, other = BaseStationTasks(5, "test", 6), BaseStationTasks(5, "test", 6)
    assert list(one) == list(other)
    assert one.ids != BaseStationTasks(6, "test", 6).ids


def test_levels_choose_causes() -> None:
    for task in BaseStationTasks(0, "train", 15, levels=(1, 2), kinds=("RES",)):
        assert task.labels["level"] in (1, 2) and task.labels["kind"] == "RES"
        assert fault_infos()[str(task.labels["cause"])].level <= int(str(task.labels["level"]))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"split": "tset"}, "Did you mean 'test'"),
        ({"hardest": 9}, "go from 0 to 5"),
        ({"kind": "REZ"}, "Did you mean 'RES'"),
        ({"language": "fr"}, "no language 'fr'"),
        ({"profile": "qa"}, "is for kind QNA"),
        ({"policy": "one-resett"}, "Did you mean 'one-reset'"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigurationError, match=error):
        BaseStation(**options)
    with pytest.raises(TaskError, match="an id is 'bs-train-000000-"):
        BaseStation(count=3).tasks.by_id("bs-1")


def test_the_ticket_comes_after_the_fault_and_the_fault_is_there(environment: BaseStation) -> None:
    for task in environment.tasks[:20]:
        network, defects = build_case(task.data)
        assert network.minutes == 0
        assert network.now - defects[0].since_s >= 10 * 60
        assert defects[0].code == task.labels["cause"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_the_agent_is_told_names_a_cause(language: str) -> None:
    environment = BaseStation(count=20, seed=9, language=language)
    codes = [*fault_infos(), "hidden", "hung", "failed_branches"]
    for task in environment.tasks:
        told = task.ticket + environment.instructions(task) + task.id
        assert not [code for code in codes if code in told]


def test_the_policy_names_its_numbers() -> None:
    task = BaseStation(count=1).tasks[0]
    assert "30 minutes after the last repair" in BaseStation(count=1).instructions(task)
    assert "60 minutes after the last repair" in BaseStation(count=1, policy="verify-longer").instructions(task)
    assert "{" not in BaseStation(count=1, language="zh").instructions(task)


# --- episodes -------------------------------------------------------------------------------------------

REMOTE: dict[str, Any] = {
    "cell_barred": lambda cell: [("set_parameter", {"element_id": cell, "parameter": "cell_barred", "value": "false"})],
    "cell_left_locked": lambda cell: [
        ("set_admin_state", {"element_id": cell, "state": "UNLOCKED", "reason": "work is over"})
    ],
    "energy_saving_stuck": lambda cell: [
        ("set_parameter", {"element_id": cell, "parameter": "es_enabled", "value": "false"}),
        ("set_parameter", {"element_id": cell, "parameter": "es_wake_threshold_pct", "value": "30"}),
        ("set_parameter", {"element_id": cell, "parameter": "es_enabled", "value": "true"}),
    ],
    "radio_unit_software_hang": lambda unit: [("reset_unit", {"unit_id": unit, "mode": "warm"})],
}


@pytest.mark.parametrize("code", REMOTE)
def test_a_case_is_solved_from_afar(environment: BaseStation, code: str) -> None:
    tasks = (task for task in environment.tasks if task.labels["cause"] == code and task.data["combination"] is None)
    task = next(task for task in tasks if not dict(truth_of(task.data).defects[0].parameters).get("stubborn"))
    episode = Episode(environment, task)
    element = element_of(task)
    assert episode.score().value == 0
    say(episode, "list_alarms", {})
    for name, arguments in REMOTE[code](element):
        say(episode, name, arguments)
    say(episode, "wait", {"minutes": 35})
    finish(episode, code, element)
    assert episode.end is EndReason.FINISHED and episode.terminated
    assert episode.score().value == 1, episode.score()


def test_a_case_is_solved_on_site(environment: BaseStation) -> None:
    task = with_cause(environment, "radio_unit_hardware_failure")
    episode = Episode(environment, task)
    unit = element_of(task)
    part = next(iter(p for p in [f"RU_{unit.split('-')[2]}", f"AAU_{unit.split('-')[2]}"]))
    part = part if unit.split("-")[2] not in ("N35", "N26") else f"AAU_{unit.split('-')[2]}"
    order = {"site_id": f"S{unit.split('-')[1]}", "task": "radio_hw", "ticket_id": TICKET, "spare_part_types": [part]}
    answer = say(episode, "dispatch_technician", order)
    if "not in stock" in answer:
        pytest.skip("the depot of this task has no such unit")
    number = next(word.strip(",") for word in answer.split() if word.startswith("WO-"))
    for _ in range(12):
        if "ON_SITE" in say(episode, "get_record", {"record_id": number}):
            break
        say(episode, "wait", {"minutes": 60})
    work = {"work_order_id": number, "action": "replace_part", "target_id": unit, "part_type": part}
    assert "replaced" in say(episode, "instruct_technician", work)
    say(episode, "instruct_technician", {"work_order_id": number, "action": "complete_and_leave"})
    finish(episode, "radio_unit_hardware_failure", unit, "fixed_on_site")
    assert episode.score().value == 1, episode.score()


def test_what_is_not_done_is_named(environment: BaseStation) -> None:
    task = with_cause(environment, "cell_barred")
    episode = Episode(environment, task)
    assert "PRECONDITION_FAILED" in say(
        episode, "close_ticket", {"ticket_id": TICKET, "resolution": "fixed_remote", "summary": "done"}
    )
    finish(episode, "wrong_tac", element_of(task))
    score = episode.score()
    assert score.value == 0
    checks = {name: score.components[name] for name in ("named", "restored", "closed", "undamaged", "tidy")}
    assert checks == {"named": 0, "restored": 0, "closed": 1, "undamaged": 1, "tidy": 1}
    assert score.reasons[:2] == ("the diagnosis is missing or wrong", "the cause is still there")
    assert 0 < score.components["reward"] < 0.6


def test_harm_elsewhere_is_seen(environment: BaseStation) -> None:
    task = with_cause(environment, "cell_barred")
    episode = Episode(environment, task)
    cell = element_of(task)
    other = next(name for name in episode.world.region.cells_of[cell.split("-")[1]] if name != cell)  # type: ignore[attr-defined]
    say(episode, "set_parameter", {"element_id": cell, "parameter": "cell_barred", "value": "false"})
    say(episode, "set_admin_state", {"element_id": other, "state": "LOCKED", "reason": "test"})
    finish(episode, "cell_barred", cell)
    score = episode.score()
    assert (score.value, score.components["undamaged"], score.components["tidy"]) == (0, 0, 0)


@pytest.mark.parametrize("calls", [[], [("wait", {"minutes": 240})], [("list_alarms", {})] * 3])
def test_doing_nothing_is_worth_nothing(environment: BaseStation, calls: list[Call]) -> None:
    for task in environment.tasks[:12]:
        episode = Episode(environment, task)
        for name, arguments in calls:
            say(episode, name, arguments)
        assert episode.score().value == 0


def test_nonsense_costs_time_and_nothing_else(environment: BaseStation) -> None:
    episode = Episode(environment, environment.tasks[0])
    world = episode.world
    assert isinstance(world, Network)
    before = world.changed_objects()
    nonsense: list[Call] = [("reset_nod", {}), ("reset_node", {"node": 1}), ("reset_node", {"node_id": "ENB-999"})]
    for name, arguments in nonsense:
        now = world.now
        assert "Error" in say(episode, name, arguments)
        assert world.now - now == 12
    assert world.changed_objects().keys() - before.keys() == set()


def test_random_players_are_replayed_byte_by_byte() -> None:
    environment = BaseStation(split="dev", count=4, seed=2)
    for episode in rollout(environment, environment.tasks, make_agent("random")):
        assert episode.done
        assert replay(episode.trajectory("random"), environment) == []


SCRIPT = """
import sys
from telegym.agents.base import make_agent
from telegym.agents.rollout import rollout
from telegym.envs.registry import make_environment
environment = make_environment("base-station", split="test", count=3)
rollout(environment, environment.tasks, make_agent("random"), write_to=sys.argv[1])
"""


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", "1"), ("b", "77")):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / name)]
        subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_undo_returns_to_the_turn_before(environment: BaseStation) -> None:
    episode = Episode(environment, with_cause(environment, "cell_barred"))
    say(episode, "list_alarms", {})
    before = episode.world.state_hash()
    say(episode, "wait", {"minutes": 30})
    episode.undo()
    assert episode.world.state_hash() == before


@pytest.mark.parametrize(("profile", "results"), [("core", "full"), ("full", "terse"), ("family:G", "full")])
def test_profiles_and_short_results(profile: str, results: str) -> None:
    environment = BaseStation(count=5, profile=profile, results=results)
    episode = Episode(environment, environment.tasks[0])
    answer = say(episode, "list_alarms", {})
    assert answer and not answer.startswith("Error")
    assert len(answer) <= 2500


def test_it_is_a_gymnasium_environment() -> None:
    env = gymnasium.make("telegym/BaseStation-v0", count=5, hardest=3)
    observation, info = env.reset(seed=1)
    assert TICKET in observation and info["tools"]
    text = "<tool_call>\n" + json.dumps({"name": "list_alarms", "arguments": {}}) + "\n</tool_call>"
    _, reward, terminated, truncated, _ = env.step(text)
    assert (reward, terminated, truncated) == (0, False, False)


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_the_perfect_repair_is_worth_everything(seed: int) -> None:
    """What is undone, rightly diagnosed and closed is a success: the score asks for nothing impossible."""
    environment = BaseStation(count=1, seed=seed, kind="RES")
    task = environment.tasks[0]
    episode = Episode(environment, task)
    truth = truth_of(task.data)
    assert isinstance(episode.world, Network)
    for defect in truth.defects:
        fault(defect.code).undo(episode.world, defect)
    episode.world.advance(1800)
    named = [namings(truth.network, defect)[0] for defect in truth.defects]
    extra = [f"{item.code}@{item.element_id}" for item in named[1:]]
    diagnosis = {"ticket_id": TICKET, "root_cause": named[0].code, "element_id": named[0].element_id}
    say(episode, "submit_diagnosis", {**diagnosis, "additional_causes": extra} if extra else diagnosis)
    closing = {"ticket_id": TICKET, "resolution": "fixed_remote", "summary": f"{named[0].element_id}: repaired"}
    say(episode, "close_ticket", closing)
    assert episode.score().value == 1, episode.score()
