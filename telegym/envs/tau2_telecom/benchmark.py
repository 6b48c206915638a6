"""Reading tasks and data of tau2-bench's telecom domain, as its data folder holds them on disk."""

from __future__ import annotations

import json
import logging
import re
import tomllib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from telegym.core.errors import TaskError, did_you_mean
from telegym.core.task import Assertion, FunctionCall, ReferenceAction, Task, TaskSet
from telegym.envs.tau2_telecom.state import TelecomState
from telegym.envs.tau2_telecom.world import TelecomWorld

__all__ = ["Tau2Benchmark", "build_world", "find_domain_folder", "parse_task", "parse_task_id"]

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

_PLACES = (".", "telecom", "domains/telecom", "tau2/domains/telecom", "data/tau2/domains/telecom")
_TASK_ID = re.compile(r"\[(?P<family>\w+)\](?P<faults>.*)\[PERSONA:(?P<persona>.*)\]", re.DOTALL)
_POLICIES = (
    "main_policy",
    "main_policy_solo",
    "tech_support_manual",
    "tech_support_workflow",
    "tech_support_workflow_solo",
)
_KEPT_STATES = 4096


def find_domain_folder(path: str | Path) -> Path:
    """Return the telecom domain's folder, given itself, its `data` folder, or the root of a tau2-bench checkout.

    Raises:
        TaskError: If none of the places looked at holds `tasks.json` and `db.toml`.
    """
    root = Path(path)
    for place in _PLACES:
        folder = root / place
        if (folder / "tasks.json").is_file() and (folder / "db.toml").is_file():
            return folder if place != "." else root
    looked = ", ".join(str(root / place) if place != "." else str(root) for place in _PLACES)
    problem = "has no tau2 telecom data" if root.exists() else "does not exist"
    raise TaskError(f"{root} {problem}: looked for tasks.json and db.toml in {looked}")


class _Call(BaseModel):
    env_type: Literal["user", "assistant"]
    func_name: str
    arguments: dict[str, Any] = {}


class _Assertion(_Call):
    assert_value: bool = True
    message: str | None = None


class _Action(BaseModel):
    action_id: str
    requestor: Literal["user", "assistant"] = "assistant"
    name: str
    arguments: dict[str, Any] = {}
    compare_args: list[str] | None = None


class _Criteria(BaseModel):
    actions: list[_Action] | None = None
    env_assertions: list[_Assertion] | None = None
    reward_basis: list[str] | None = None


class _InitialState(BaseModel):
    initialization_data: Any = None
    initialization_actions: list[_Call] | None = None
    message_history: list[Any] | None = None


class _Record(BaseModel):
    id: str
    ticket: str | None = None
    initial_state: _InitialState | None = None
    evaluation_criteria: _Criteria | None = None


def parse_task(record: Any, where: str = "task") -> Task:
    """Make a task from a tau2-bench record; `data["record"]` keeps the record itself.

    Raises:
        TaskError: If the record is not a task; the message begins with `where` and names the task.
    """
    try:
        parsed = _Record.model_validate(record)
    except ValidationError as error:
        name = record.get("id") if isinstance(record, dict) else None
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'record'}: {e['msg']}" for e in error.errors()[:5])
        raise TaskError(f"{where} (id {name!r}): {problems}") from error
    initial = parsed.initial_state or _InitialState()
    criteria = parsed.evaluation_criteria or _Criteria()
    return Task(
        id=parsed.id,
        ticket=parsed.ticket or "",
        initialization=tuple(_function_call(call) for call in initial.initialization_actions or ()),
        actions=tuple(_reference_action(action) for action in criteria.actions or ()),
        assertions=tuple(_assertion(item) for item in criteria.env_assertions or ()),
        labels=_labels(parsed.id, criteria),
        data={"record": record, "reward_basis": criteria.reward_basis or ["DB", "COMMUNICATE"]},
    )


def _function_call(call: _Call) -> FunctionCall:
    return FunctionCall(target=call.env_type, name=call.func_name, arguments=call.arguments)


def _reference_action(action: _Action) -> ReferenceAction:
    return ReferenceAction(
        id=action.action_id,
        requestor=action.requestor,
        name=action.name,
        arguments=action.arguments,
        compare_arguments=None if action.compare_args is None else tuple(action.compare_args),
    )


def _assertion(item: _Assertion) -> Assertion:
    return Assertion(
        target=item.env_type,
        name=item.func_name,
        arguments=item.arguments,
        expected=item.assert_value,
        message=item.message,
    )


def parse_task_id(task_id: str) -> tuple[str | None, str | None, list[str]]:
    """Return family, persona and faults of an id like `[family]fault|fault[PERSONA:persona]`; None and [] of others."""
    found = _TASK_ID.fullmatch(task_id)
    if found is None:
        return None, None, []
    return found["family"], found["persona"], [name for name in found["faults"].split("|") if name]


def _labels(task_id: str, criteria: _Criteria) -> dict[str, str | int | bool | list[str] | None]:
    family, persona, faults = parse_task_id(task_id)
    names = [action.name for action in criteria.actions or ()]
    return {
        "family": family,
        "persona": persona,
        "faults": faults,
        "expected_failure": "transfer_to_human_agents" in names,
    }


def _read(path: Path, parse: Callable[[str], _T]) -> _T:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # JSON and TOML errors are ValueErrors
        raise TaskError(f"{path}: cannot be read: {error}") from error


class Tau2Benchmark:
    """Tasks, initial records and policies of one data folder.

    Args:
        path: The telecom domain's folder, the `data` folder, or the root of a tau2-bench checkout.

    Raises:
        TaskError: If a file is missing or broken; the message names the file, and the task where there is one.
    """

    path: Path
    """The domain's folder."""
    tasks: TaskSet
    """All tasks in the order of the file, with the splits."""
    initial_state: TelecomState
    """The records every task begins with."""
    policies: dict[str, str]
    """Texts by file name without ending; those the folder lacks are absent."""

    def __init__(self, path: str | Path) -> None:
        self.path = find_domain_folder(path)
        self.initial_state = _read_state(self.path)
        self.tasks = _read_tasks(self.path)
        files = {name: self.path / f"{name}.md" for name in _POLICIES}
        self.policies = {name: _read(file, str) for name, file in files.items() if file.is_file()}

    def policy(self, variant: Literal["manual", "workflow"] = "manual", solo: bool = False) -> str:
        """Return the policy text an agent gets.

        Args:
            variant: Which technical document follows the main policy.
            solo: Whether the agent works alone.

        Raises:
            TaskError: If the folder lacks the text.
        """
        main = "main_policy_solo" if solo else "main_policy"
        tech = "tech_support_manual"
        if variant == "workflow":
            tech = "tech_support_workflow_solo" if solo else "tech_support_workflow"
        return (
            f"<main_policy>\n{self._text(main)}\n</main_policy>\n"
            f"<tech_support_policy>\n{self._text(tech)}\n</tech_support_policy>"
        )

    def _text(self, name: str) -> str:
        if name not in self.policies:
            raise TaskError(f"{self.path}: no {name}.md; there are: {', '.join(self.policies) or 'none'}")
        return self.policies[name]

    def build_world(self, task: Task | str, seed: int = 0) -> TelecomWorld:
        """Return the initial world of a task, given the task or its id."""
        return build_world(self.initial_state, self.tasks.by_id(task) if isinstance(task, str) else task, seed)


def _read_state(folder: Path) -> TelecomState:
    agent = _read(folder / "db.toml", tomllib.loads)
    user_file = folder / "user_db.toml"
    user = _read(user_file, tomllib.loads) if user_file.is_file() else {}
    try:
        return TelecomState.from_records(agent, user)
    except TaskError as error:
        raise TaskError(f"{folder}: db.toml, user_db.toml: {error}") from error


def _read_tasks(folder: Path) -> TaskSet:
    file = folder / "tasks.json"
    records = _read(file, json.loads)
    if not isinstance(records, list):
        raise TaskError(f"{file}: must hold a list of tasks, not {type(records).__name__}")
    tasks = [parse_task(record, f"{file}: task {index}") for index, record in enumerate(records)]
    splits = _read_splits(folder / "split_tasks.json", {task.id for task in tasks})
    try:
        return TaskSet(tasks, splits)
    except TaskError as error:
        raise TaskError(f"{file}: {error}") from error


def _read_splits(file: Path, known: set[str]) -> dict[str, list[str]]:
    if not file.is_file():
        return {}
    splits = _read(file, json.loads)
    if not isinstance(splits, dict) or not all(isinstance(ids, list) for ids in splits.values()):
        raise TaskError(f"{file}: must hold an object with lists of task ids")
    kept = {name: [task_id for task_id in ids if task_id in known] for name, ids in splits.items()}
    lacking = sum(map(len, splits.values())) - sum(map(len, kept.values()))
    if lacking:
        logger.warning("%s: %d entries name tasks that tasks.json does not hold; left out", file, lacking)
    return kept


class _Built(NamedTuple):
    task: Task
    initial: TelecomState | None
    state: TelecomState


_built: OrderedDict[str, _Built] = OrderedDict()
"""Initial states of the tasks used last: a state is a value, so any number of worlds may begin with it."""


def build_world(initial_state: TelecomState | None, task: Task, seed: int = 0) -> TelecomWorld:
    """Return the initial world of a task: its records, then its initialisation calls.

    Args:
        initial_state: The records to begin with, for tasks that bring none of their own in `data["records"]`.
        task: The task.
        seed: The world's seed. Initialisation does not depend on it.

    Raises:
        TaskError: If the records or a call are not valid; the message names the task.
    """
    entry = _built.get(task.id)
    if entry is None or entry.task is not task or entry.initial is not initial_state:
        entry = _Built(task, initial_state, _initialize(initial_state, task))
        _built[task.id] = entry
        _built.move_to_end(task.id)
        if len(_built) > _KEPT_STATES:
            _built.popitem(last=False)
    return TelecomWorld(entry.state, seed)


def _initialize(initial_state: TelecomState | None, task: Task) -> TelecomState:
    try:
        world = TelecomWorld(_initial_records(initial_state, task))
        for call in task.initialization:
            world.run(call.target, call.name, call.arguments)
    except TaskError as error:
        raise TaskError(f"task {task.id!r}: {error}") from error
    return world.state


def _initial_records(initial_state: TelecomState | None, task: Task) -> TelecomState:
    own = task.data.get("records")
    if own is not None:
        _check_records(own)
        return TelecomState.from_records(own.get("agent") or {}, own.get("user") or {})
    situation = (task.data.get("record") or {}).get("initial_state") or {}
    for part in ("initialization_data", "message_history"):
        if situation.get(part):
            raise TaskError(f"{part} is not supported; use initialization_actions")
    if initial_state is None:
        raise TaskError("it has no records of its own (data['records']), and no initial state was given")
    return initial_state


def _check_records(own: Any) -> None:
    if not isinstance(own, Mapping):
        raise TaskError(f"data['records'] must hold 'agent' and 'user', not {own!r:.80}")
    for key in own:
        if key not in ("agent", "user"):
            hint = did_you_mean(str(key), ["agent", "user"])
            raise TaskError(f"data['records']: unknown part {key!r}; valid: agent, user.{hint}")
