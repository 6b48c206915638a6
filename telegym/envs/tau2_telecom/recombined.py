"""Recombined tasks: further tasks in the world of published ones, made of the faults these consist of.

Every published task is a set of faults in one customer's world, and says the same in the same words as the others of
its family. So a fault that occurs in one task of a family may stand beside the faults of others, wherever the family
allows it: the ticket, the user and the records are those of a published task, calls, solution and assertions are of the
new set. No task has exactly the faults of a task that is to be left out.

Tasks are drawn from their own random streams, `seed/recombined/index`, and made when they are asked for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple, cast

from telegym.core.errors import ConfigurationError
from telegym.core.task import GeneratedTasks, Task
from telegym.envs.tau2_telecom.case import TRANSFER_TOOL
from telegym.envs.tau2_telecom.composition import FAMILIES, Composition, compositions, goal, situation, solution
from telegym.envs.tau2_telecom.faults import FAULTS, REFUEL_LIMIT_GB, Subject
from telegym.envs.tau2_telecom.native import MAX_FAULTS, Choices
from telegym.envs.tau2_telecom.scenario import Family, Persona
from telegym.envs.tau2_telecom.state import TelecomState

__all__ = ["RecombinedTasks", "composition_of", "recombine"]

_KEPT_TASKS = 2048
"""Made tasks that a set remembers."""
_ID_END = re.compile(r"#recombined-(?P<index>\d+)$")


def composition_of(task: Task) -> Composition | None:
    """Return the composition that a task's labels name; None if they name no known family or an unknown fault."""
    family = next((each for each in FAMILIES if each == task.labels.get("family")), None)
    faults = task.labels.get("faults")
    if family is None or not isinstance(faults, list) or not faults or not all(name in FAULTS for name in faults):
        return None
    return Composition(family, tuple(sorted(faults)))


class _Donor(NamedTuple):
    """A published task that lends its words and its world."""

    task: Task
    subject: Subject


@dataclass(slots=True)
class _Family:
    """What the published tasks of a family consist of."""

    faults: set[str] = field(default_factory=set)
    donors: dict[bool, list[_Donor]] = field(default_factory=dict)
    """By whether the user is abroad."""
    endings: dict[bool, Task] = field(default_factory=dict)
    """A task by whether it has to be handed over."""

    def makes(self, composition: Composition) -> bool:
        """Return whether a composition can be made of what there is."""
        known = self.faults.issuperset(composition.faults) and composition.expected_failure in self.endings
        return known and composition.abroad in self.donors


def recombine(composition: Composition, persona: Persona, donor: Task, subject: Subject, ending: Task) -> Task:
    """Return a published task with other faults.

    Args:
        composition: The faults.
        persona: How the user talks.
        donor: The published task of the same family and place whose words are taken.
        subject: Whom the faults befall: the donor's customer.
        ending: A published task that is handed over exactly if the composition has to be.
    """
    summary = next((each.arguments["summary"] for each in ending.actions if each.name == TRANSFER_TOOL), "")
    return donor.model_copy(
        update={
            "id": f"{composition.name}[PERSONA:{persona}]",
            "initialization": situation(composition, subject),
            "actions": solution(composition, subject, summary),
            "assertions": goal(composition, subject),
            "labels": {
                "family": composition.family,
                "persona": persona,
                "faults": list(composition.faults),
                "expected_failure": composition.expected_failure,
            },
            "data": {"record": donor.data["record"], "reward_basis": ending.data["reward_basis"]},
        }
    )


class RecombinedTasks(GeneratedTasks):
    """A set of tasks made of the faults of published tasks.

    Args:
        source: The published tasks that lend faults, words and world.
        state: The records that published tasks begin with.
        excluded: Tasks whose compositions are left out.
        seed: Decides everything; another seed gives other tasks.
        count: How many tasks.
        max_faults: The most faults in one task.
        faults: Only tasks with at least one of these faults; all by default.
        without_faults: Only tasks with none of these faults.
        share: Share of the remaining compositions that may occur, above 0 to 1; which ones is decided by the seed.

    Raises:
        ConfigurationError: If an argument has no valid value, a task cannot be taken apart, or nothing is left.
    """

    def __init__(
        self,
        source: Iterable[Task],
        state: TelecomState,
        *,
        excluded: Iterable[Task] = (),
        seed: int = 0,
        count: int = 1000,
        max_faults: int = MAX_FAULTS,
        faults: Collection[str] | None = None,
        without_faults: Collection[str] = (),
        share: float = 1.0,
    ) -> None:
        super().__init__(count, _KEPT_TASKS)
        if not 0 < share <= 1:
            raise ConfigurationError(f"share is {share}; valid: above 0, to 1")
        if not 1 <= max_faults <= MAX_FAULTS:
            raise ConfigurationError(f"max_faults is {max_faults}; valid: 1 to {MAX_FAULTS}")
        tasks = tuple(source)
        self.seed = seed
        self._families = _take_apart(tasks, state)
        self._people = _people(tasks)
        left_out = {composition_of(task) for task in excluded}
        made = _possible(self._families)
        fitting = (each for each in made if each.fits(max_faults, faults, without_faults))
        possible = (each for each in fitting if each not in left_out)
        self.compositions = tuple(each for each in possible if _drawn(each, seed, share))
        if not self.compositions:
            raise ConfigurationError(
                f"no composition of at most {max_faults} faults is left: {len(tasks)} published tasks lend faults, "
                f"{len(left_out)} compositions are left out, share is {share}, faults are {faults or 'any'}, "
                f"without {without_faults or 'none'}"
            )
        self._choices = Choices(self.compositions)

    compositions: tuple[Composition, ...]
    """What tasks are drawn from."""

    def make_id(self, index: int) -> str:
        """Return the id of the task at a position."""
        _, composition, persona = self._draw(index)
        return f"{composition.name}[PERSONA:{persona}]#recombined-{index:06d}"

    def make_task(self, index: int) -> Task:
        """Make the task at a position."""
        rng, composition, persona = self._draw(index)
        parts = self._families[composition.family]
        donor, subject = rng.choice(parts.donors[composition.abroad])
        ending = parts.endings[composition.expected_failure]
        made = recombine(composition, persona, donor, subject, ending)
        task_id = f"{made.id}#recombined-{index:06d}"
        record = _with_persona(donor.data["record"], task_id, self._people[persona])
        data = {**made.data, "record": record}
        return made.model_copy(
            update={"id": task_id, "labels": {**made.labels, "split": "recombined"}, "data": data},
        )

    def labels_of(self, index: int) -> Mapping[str, Any]:
        """Return the labels of the task at a position, without making the task."""
        _, composition, persona = self._draw(index)
        return {
            "family": composition.family,
            "persona": persona,
            "faults": list(composition.faults),
            "expected_failure": composition.expected_failure,
            "split": "recombined",
        }

    def claimed_index(self, task_id: str) -> int | None:
        """Return the position that an id claims to be of."""
        found = _ID_END.search(task_id)
        return int(found["index"]) if found is not None else None

    def _draw(self, index: int) -> tuple[Random, Composition, Persona]:
        rng = Random(f"{self.seed}/recombined/{index}")
        return rng, self._choices.draw(rng), rng.choice(tuple(self._people))


def _possible(families: Mapping[Family, _Family]) -> Iterator[Composition]:
    for family, parts in families.items():
        yield from (each for each in compositions(family) if parts.makes(each))


def _drawn(composition: Composition, seed: int, share: float) -> bool:
    digest = hashlib.sha256(f"{seed}/share/{composition.name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def _people(tasks: Sequence[Task]) -> dict[Persona, str | None]:
    """Return the descriptions of users by persona."""
    found: dict[Persona, str | None] = {}
    for task in tasks:
        scenario = task.data["record"].get("user_scenario") or {}
        found.setdefault(cast(Persona, task.labels["persona"]), scenario.get("persona"))
    return found


def _with_persona(record: Mapping[str, Any], task_id: str, persona: str | None) -> dict[str, Any]:
    return {**record, "id": task_id, "user_scenario": {**(record.get("user_scenario") or {}), "persona": persona}}


def _take_apart(tasks: Sequence[Task], state: TelecomState) -> dict[Family, _Family]:
    """Return by family what tasks consist of, having made sure that putting it together gives the tasks again."""
    facts = [_Facts(task, state) for task in tasks]
    families: dict[Family, _Family] = {}
    for each in facts:
        subject = each.subject(facts)
        _check(each, subject)
        parts = families.setdefault(each.composition.family, _Family())
        parts.faults.update(each.composition.faults)
        parts.donors.setdefault(each.composition.abroad, []).append(_Donor(each.task, subject))
        parts.endings.setdefault(each.composition.expected_failure, each.task)
    return {family: families[family] for family in FAMILIES if family in families}


class _Facts:
    """What a published task says of whom it is about."""

    def __init__(self, task: Task, state: TelecomState) -> None:
        composition = composition_of(task)
        if composition is None:
            raise ConfigurationError(f"task {task.id!r} cannot be recombined: its id names no known family and faults")
        self.task, self.composition = task, composition
        self.number = _argument([task], "phone_number")
        self._line_id = state.line_ids_by_number.get(self.number or "")
        self._customer_id = state.customer_ids_by_number.get(self.number or "")
        if self._line_id is None or self._customer_id is None:
            raise ConfigurationError(f"task {task.id!r} cannot be recombined: phone {self.number!r} has no line")
        self._limit = state.plans[state.lines[self._line_id].plan_id].data_limit_gb

    def subject(self, others: Sequence[_Facts]) -> Subject:
        """Return whom the task is about; what it does not say is taken from tasks of the same family and phone."""
        family, number = self.composition.family, self.number
        same = [self.task] + [o.task for o in others if o.number == number and o.composition.family == family]
        used = _argument(same, "data_used_gb")
        return Subject(
            customer_id=cast(str, self._customer_id),
            line_id=cast(str, self._line_id),
            name=_argument(same, "name") or "",
            phone_number=number or "",
            bill_id=_argument(same, "new_bill_id") or _argument(same, "overdue_bill_id") or "",
            data_limit_gb=self._limit,
            overage_gb=0.1 if used is None else round(used - self._limit, 2),
            refuel_gb=_argument(same, "expected_amount") or REFUEL_LIMIT_GB,
            slow_mode=_argument(same, "mode", "set_network_mode_preference") or "2g_only",
        )


def _argument(tasks: Sequence[Task], name: str, function: str | None = None) -> Any:
    """Return the first value of an argument in the calls and assertions of tasks, or None."""
    calls = (call for task in tasks for call in (*task.initialization, *task.assertions))
    fitting = (call.arguments for call in calls if name in call.arguments and function in (None, call.name))
    return next((arguments[name] for arguments in fitting), None)


def _check(facts: _Facts, subject: Subject) -> None:
    """Make sure that a task is what its faults make.

    Raises:
        ConfigurationError: If it is not: what is known of its faults would make another task.
    """
    task, faults = facts.task, facts.composition.faults
    made = recombine(facts.composition, "None", task, subject, task)
    parts = {
        "calls": (task.initialization, made.initialization),
        "actions": (task.actions, made.actions),
        "assertions": ([each.model_copy(update={"message": None}) for each in task.assertions], [*made.assertions]),
    }
    for name, (published, known) in parts.items():
        if published != known:
            raise ConfigurationError(
                f"task {task.id!r} cannot be recombined: its {name} are not those of its faults ({', '.join(faults)})"
            )
