"""Playing tau2 telecom in tests: tasks with given faults, and calls by name."""

from __future__ import annotations

from typing import Any

from telegym.core.episode import Episode
from telegym.core.messages import Message, ToolCall
from telegym.core.score import Score
from telegym.core.task import Task
from telegym.envs.tau2_telecom.case import Case
from telegym.envs.tau2_telecom.composition import Composition
from telegym.envs.tau2_telecom.environment import Tau2Telecom
from telegym.envs.tau2_telecom.native import make_task
from telegym.envs.tau2_telecom.scenario import Family

ENVIRONMENT = Tau2Telecom(count=0)

Step = str | tuple[str, dict[str, Any]]


def task_of(family: Family, *faults: str, seed: int = 0) -> Task:
    return make_task(Composition(family, tuple(sorted(faults))), seed=seed)


def case_of(task: Task) -> Case:
    return ENVIRONMENT.case(task)


def own(task: Task) -> dict[str, str]:
    """Customer and line of a task, as arguments."""
    subject = case_of(task).subject
    return {"customer_id": subject.customer_id, "line_id": subject.line_id}


def identify(task: Task) -> Step:
    return "get_customer_by_phone", {"phone_number": case_of(task).subject.phone_number}


def begin(task: Task, record: bool = True) -> Episode:
    return Episode(ENVIRONMENT, task, record=record)


def message_of(number: int, *steps: Step) -> Message:
    calls = []
    for offset, step in enumerate(steps):
        name, arguments = (step, {}) if isinstance(step, str) else step
        calls.append(ToolCall(id=f"call_{number}_{offset}", name=name, arguments=arguments))
    return Message(role="assistant", tool_calls=tuple(calls))


def play(task: Task, *steps: Step, record: bool = True) -> Episode:
    """Make the calls one by one."""
    episode = begin(task, record)
    for number, step in enumerate(steps):
        episode.step(message_of(number, step))
    return episode


def score(task: Task, *steps: Step, record: bool = True) -> Score:
    """Identify the customer, make the calls, and finish."""
    return play(task, identify(task), *steps, "done", record=record).score()
