"""Recombined tasks, and choosing among published ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError, TaskError
from telegym.core.task import Task
from telegym.envs.registry import make_environment
from telegym.envs.tau2_telecom.benchmark import Tau2Benchmark
from telegym.envs.tau2_telecom.composition import Composition, compositions, goal, situation, solution
from telegym.envs.tau2_telecom.environment import Tau2Telecom
from telegym.envs.tau2_telecom.faults import Subject
from telegym.envs.tau2_telecom.recombined import RecombinedTasks, composition_of
from telegym.envs.tau2_telecom.scenario import Family
from tests.envs.tau2_telecom.test_benchmark import DB

SUBJECT = Subject(
    "C1", "L1", "Ada Byron", "555-010-0001", "B77", 10.0, overage_gb=0.3, refuel_gb=1.5, slow_mode="3g_only"
)
PLACES = {False: "at home in the United States", True: "abroad in France"}
REASONS = {"mobile_data_issue": "Your mobile data is slow.", "service_issue": "Your phone has no service."}
PUBLISHED = (
    ("mobile_data_issue", "Easy", "data_mode_off", "data_usage_exceeded"),
    ("mobile_data_issue", "Hard", "bad_network_preference", "user_abroad_roaming_enabled_off"),
    ("mobile_data_issue", "None", "bad_vpn", "data_saver_mode_on", "user_abroad_roaming_disabled_off"),
    ("service_issue", "None", "airplane_mode_on", "overdue_bill_suspension"),
    ("service_issue", "Easy", "lock_sim_card_pin", "unseat_sim_card"),
    ("service_issue", "Hard", "break_apn_settings"),
)


def record_of(family: Any, persona: str, *faults: str) -> dict[str, Any]:
    composition = Composition(family, faults)
    known = f"You are {SUBJECT.name} with phone number {SUBJECT.phone_number}. You are {PLACES[composition.abroad]}."
    agreed = f"You are willing to refuel {SUBJECT.refuel_gb} GB of data if necessary. You will pay your overdue bills."
    said = {"reason_for_call": REASONS[family], "known_info": known, "task_instructions": agreed}
    calls = [
        {"env_type": each.target, "func_name": each.name, "arguments": each.arguments}
        for each in situation(composition, SUBJECT)
    ]
    actions = [
        {
            "action_id": each.id,
            "requestor": each.requestor,
            "name": each.name,
            "arguments": each.arguments,
            "compare_args": each.compare_arguments if each.compare_arguments is None else list(each.compare_arguments),
        }
        for each in solution(composition, SUBJECT, "Please help.")
    ]
    assertions = [
        {"env_type": each.target, "func_name": each.name, "arguments": each.arguments, "message": "Not as expected"}
        for each in goal(composition, SUBJECT)
    ]
    basis = ["ENV_ASSERTION", "ACTION"] if composition.expected_failure else ["ENV_ASSERTION"]
    return {
        "id": f"{composition.name}[PERSONA:{persona}]",
        "ticket": f"{family}; {PLACES[composition.abroad]}; {SUBJECT.phone_number}",
        "user_scenario": {"persona": None if persona == "None" else f"a person, {persona}", "instructions": said},
        "initial_state": {"initialization_actions": calls},
        "evaluation_criteria": {"actions": actions, "env_assertions": assertions, "reward_basis": basis},
    }


def write_folder(folder: Path, records: list[dict[str, Any]]) -> str:
    (folder / "db.toml").write_text(DB, encoding="utf-8")
    (folder / "tasks.json").write_text(json.dumps(records), encoding="utf-8")
    ids = [record["id"] for record in records]
    splits = {"base": ids[:-1], "late": ids[-1:], "empty": []}
    (folder / "split_tasks.json").write_text(json.dumps(splits), encoding="utf-8")
    return str(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data folder with six tasks about one customer; the last is not in `base`."""
    return write_folder(tmp_path_factory.mktemp("telecom"), [record_of(*each) for each in PUBLISHED])


def recombined(folder: str, **options: Any) -> RecombinedTasks:
    tasks = Tau2Telecom(source="recombined", data=folder, **options).tasks
    assert isinstance(tasks, RecombinedTasks)
    return tasks


def solve(environment: Tau2Telecom, task: Task) -> Episode:
    episode = Episode(environment, task, record=False)
    while not episode.done:
        hint = environment.hint(episode)
        assert hint is not None
        episode.step(hint)
    return episode


def test_faults_stand_together_as_the_family_allows(folder: str) -> None:
    tasks = recombined(folder, split="all", count=300)
    lent = {name for _, _, *faults in PUBLISHED[:3] for name in faults}
    published = {tuple(faults) for _, _, *faults in PUBLISHED[:3]}
    possible = {each.faults for each in compositions("mobile_data_issue") if lent.issuperset(each.faults)}
    made = {each.faults for each in tasks.compositions if each.family == "mobile_data_issue"}
    assert made == possible - published
    assert {each.family for each in tasks.compositions} == {"mobile_data_issue", "service_issue"}
    assert {composition_of(task) for task in tasks} <= set(tasks.compositions)


def test_words_and_world_are_those_of_a_published_task(folder: str) -> None:
    environment = Tau2Telecom(source="recombined", data=folder, split="all", count=120)
    published = {record_of(*each)["ticket"] for each in PUBLISHED}
    for task in environment.tasks:
        composition = composition_of(task)
        assert composition is not None and composition.family in task.ticket and task.ticket in published
        assert (PLACES[True] in task.ticket) == composition.abroad
        assert task.initialization == situation(composition, SUBJECT)
        assert task.assertions == goal(composition, SUBJECT)
        assert task.labels["split"] == "recombined"
        scenario = environment.scenario(task)
        assert scenario.name == SUBJECT.name
        assert scenario.persona_text == (
            None if task.labels["persona"] == "None" else f"a person, {task.labels['persona']}"
        )


def test_the_oracle_solves_them_strictly(folder: str) -> None:
    environment = Tau2Telecom(source="recombined", data=folder, split="all", count=150)
    for task in environment.tasks:
        episode = solve(environment, task)
        assert episode.score().reasons == () and len(episode.calls) == environment.par(task)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), index=st.integers(0, 99))
def test_decided_by_seed_and_index(folder: str, seed: int, index: int) -> None:
    tasks = recombined(folder, count=100, seed=seed)
    task = tasks[index]
    assert task == recombined(folder, count=100, seed=seed)[index]
    assert task.id == tasks.make_id(index) and tasks.by_id(task.id) is task
    assert dict(tasks.labels_of(index)) == task.labels


def test_another_seed_gives_other_tasks(folder: str) -> None:
    assert recombined(folder, count=50).ids != recombined(folder, count=50, seed=1).ids
    with pytest.raises(TaskError, match="an id is"):
        recombined(folder, count=3).by_id("[service_issue]x[PERSONA:None]#recombined-000001")


def test_tasks_of_the_split_and_excluded_ones_do_not_come_back(folder: str, tmp_path: Path) -> None:
    every = {Composition(cast(Family, family), tuple(faults)) for family, _, *faults in PUBLISHED}
    assert not every & set(recombined(folder, split="all").compositions)
    some = recombined(folder, split="all", ids=[record_of(*each)["id"] for each in PUBLISHED[3:]])
    assert not every & set(some.compositions) and {each.family for each in some.compositions} == {"service_issue"}
    late = Composition("service_issue", ("break_apn_settings",))
    with_it = ("service_issue", "Hard", "airplane_mode_on", "break_apn_settings")
    data = write_folder(tmp_path, [record_of(*each) for each in (*PUBLISHED[:5], with_it, PUBLISHED[5])])
    assert late in recombined(data).compositions
    assert late not in recombined(data, exclude=["late"]).compositions
    assert late not in recombined(data, exclude=[record_of(*PUBLISHED[5])["id"]]).compositions


def test_a_fold_lends_its_faults_only_but_no_task_of_the_split_comes_back(folder: str) -> None:
    tasks = recombined(folder, split="all", fold={"of": 2, "index": 1})
    lent = {name for _, _, *faults in PUBLISHED[1::2] for name in faults}
    used = {name for each in tasks.compositions for name in each.faults}
    at_home_without_words = {"bad_network_preference"}
    assert used == lent - at_home_without_words
    assert Composition("service_issue", ("break_apn_settings",)) not in tasks.compositions


def test_a_share_of_the_compositions(folder: str) -> None:
    every, some = recombined(folder, split="all"), recombined(folder, split="all", share=0.4)
    other = recombined(folder, split="all", share=0.4, seed=1)
    assert set(some.compositions) < set(every.compositions)
    assert 0.15 < len(some.compositions) / len(every.compositions) < 0.65
    assert set(some.compositions) != set(other.compositions)
    assert {composition_of(task) for task in some[:100]} <= set(some.compositions)


@pytest.mark.parametrize("source", ["native", "benchmark", "recombined"])
def test_only_tasks_with_a_fault(folder: str, source: Any) -> None:
    wanted = {"bad_vpn", "overdue_bill_suspension"}
    data, split = (None, "dev") if source == "native" else (folder, "all")
    environment = Tau2Telecom(source=source, data=data, split=split, faults=sorted(wanted), count=60)
    unlike = Tau2Telecom(source=source, data=data, split=split, without_faults=sorted(wanted), count=60)
    faults = [set(cast(list[str], task.labels["faults"])) for task in environment.tasks]
    assert faults and all(wanted & each for each in faults)
    assert set.union(*faults) >= wanted
    assert len(unlike.tasks) and not any(wanted & set(cast(list[str], each.labels["faults"])) for each in unlike.tasks)


def test_folds_part_the_tasks(folder: str) -> None:
    def chosen(**fold: int) -> tuple[str, ...]:
        return Tau2Telecom(source="benchmark", data=folder, split="all", fold=fold).tasks.ids

    every = Tau2Telecom(source="benchmark", data=folder, split="all").tasks.ids
    assert chosen(of=2, index=0) == every[::2] and chosen(of=2, index=1) == every[1::2]
    assert chosen(of=3, without=1) == tuple(each for place, each in enumerate(every) if place % 3 != 1)


def test_ids_and_exclusions_of_published_tasks(folder: str) -> None:
    every = Tau2Telecom(source="benchmark", data=folder, split="all").tasks.ids
    two = Tau2Telecom(source="benchmark", data=folder, split="all", ids=[every[3], every[1]])
    assert two.tasks.ids == (every[1], every[3])
    rest = Tau2Telecom(source="benchmark", data=folder, split="all", exclude=["base"])
    assert rest.tasks.ids == every[-1:]
    again = make_environment("tau2-telecom", **json.loads(json.dumps(rest.options)))
    assert again.tasks.ids == rest.tasks.ids


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"fold": {"of": 2, "index": 2}}, "no part 2 of 2; valid: 0 to 1"),
        ({"fold": {"of": 1, "index": 0}}, "of"),
        ({"fold": {"of": 2}}, "one of them"),
        ({"fold": {"of": 2, "index": 0, "without": 1}}, "one of them"),
        ({"fold": {"off": 2, "index": 0}}, "of"),
        ({"fold": {"of": 90, "index": 80}}, "leaves none of 5 tasks"),
        ({"ids": ["[service_issue]lock_sim_card_pin|unseat_sim_card[PERSONA:Hard]"]}, r"Did you mean .*PERSONA:Easy"),
        ({"fold": "{of: 2, index: 0}"}, "valid: a mapping, in JSON such as .*of.*index"),
        ({"ids": []}, "valid: a list of ids"),
        ({"exclude": ["lat"]}, "neither a task nor a split; splits: base, late, empty. Did you mean 'late'"),
        ({"exclude": "late"}, "valid: a list"),
        ({"share": 0.5}, "goes with source='recombined'"),
        ({"exclude": ["base"]}, "exclude and faults leave nothing of the 5 tasks"),
        ({"faults": ["bad_apn"]}, "faults: no fault 'bad_apn'; valid: .*Did you mean 'bad_vpn'"),
        ({"faults": "bad_vpn"}, "faults is 'bad_vpn'; valid: a list of"),
        ({"faults": []}, "valid: a list of"),
        ({"without_faults": "bad_vpn"}, "faults is 'bad_vpn'; valid: a list of"),
        ({"source": "recombined", "faults": ["bad_wifi_calling"]}, "faults are .'bad_wifi_calling'"),
        ({"source": "recombined", "share": 0}, "share is 0; valid: above 0"),
        ({"source": "recombined", "share": 1e-9}, "no composition .* is left"),
        ({"source": "recombined", "max_faults": 0}, "max_faults is 0; valid: 1 to 9"),
        ({"source": "recombined", "split": "empty"}, "0 published tasks lend faults"),
        ({"source": "recombined", "data": None}, "source='recombined' needs data"),
        ({"source": "native", "data": None, "fold": {"of": 2, "index": 0}}, "fold=.* but source is 'native'"),
        ({"source": "native", "data": None, "exclude": ["base"]}, "exclude=.* but source is 'native'"),
        ({"source": "native", "data": None, "ids": ["x"]}, "ids=.* but source is 'native'"),
        ({"source": "native", "data": None, "share": 0.5}, "share=0.5 goes with source='recombined'"),
    ],
)
def test_nonsense_is_refused(folder: str, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        make_environment("tau2-telecom", **{"source": "benchmark", "data": folder, **options})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"id": "odd"}, "its id names no known family and faults"),
        ({"id": "[service_issue]break_phone[PERSONA:None]"}, "its id names no known family and faults"),
        ({"id": "[service_issue]airplane_mode_on[PERSONA:None]"}, "its calls are not those of its faults"),
        ({"evaluation_criteria": {"actions": []}}, "its actions are not those"),
        ({"initial_state": {}}, "phone None has no line"),
    ],
)
def test_tasks_that_cannot_be_taken_apart_are_named(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    odd = record_of("service_issue", "Hard", "break_apn_settings") | change
    data = write_folder(tmp_path, [odd, record_of(*PUBLISHED[0])])
    with pytest.raises(ConfigurationError, match=f"cannot be recombined: {complaint}"):
        Tau2Telecom(source="recombined", data=data)


def test_the_published_tasks_can_be_taken_apart(tau2_data: Path, tmp_path: Path) -> None:
    environment = Tau2Telecom(source="recombined", data=str(tau2_data), count=300)
    known = {composition_of(task) for task in Tau2Benchmark(tau2_data).tasks.split("base")}
    for task in environment.tasks:
        assert composition_of(task) not in known
        assert solve(environment, task).score().reasons == ()
    tickets = {task.ticket for task in Tau2Benchmark(tau2_data).tasks}
    assert {task.ticket for task in environment.tasks} == tickets
    shutil.copytree(Tau2Benchmark(tau2_data).path, tmp_path / "telecom")
    assert Tau2Telecom(source="recombined", data=str(tmp_path), count=300).tasks.ids == environment.tasks.ids
