"""Native tasks: thousands of generated tasks of the same families and faults as the published ones.

Every task is drawn from its own random stream, `seed/split/index`, and has a carrier, a phone, a customer and a ticket
of its own. The splits `train`, `dev` and `test` are disjoint and draw from the same compositions of faults. One in five
compositions of two or more faults never occurs there; `test-compositions` consists of those only.

Tasks are made when they are asked for: a set of any size costs nothing until it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from random import Random
from typing import Any, Literal, NamedTuple, get_args

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.task import FunctionCall, GeneratedTasks, Task
from telegym.envs.tau2_telecom.composition import (
    FAMILIES,
    PERSONAS,
    Composition,
    compositions,
    goal,
    held_out,
    situation,
    solution,
)
from telegym.envs.tau2_telecom.faults import REFUEL_LIMIT_GB, Subject
from telegym.envs.tau2_telecom.phrases import phrases
from telegym.envs.tau2_telecom.records import draw_carrier, draw_phone
from telegym.envs.tau2_telecom.scenario import Family, Persona, UserScenario

__all__ = ["MAX_FAULTS", "SPLITS", "Choices", "NativeTasks", "Split", "make_task"]

Split = Literal["train", "dev", "test", "test-compositions"]
"""Which tasks: for learning, for choosing, for reporting, and for reporting on compositions never learnt from."""
SPLITS: tuple[Split, ...] = get_args(Split)
"""Names of the splits."""
MAX_FAULTS = 9
"""The most faults a task can have."""

_FAMILY_WEIGHTS: dict[Family, float] = {"mobile_data_issue": 0.33, "service_issue": 0.27, "mms_issue": 0.40}
_COUNT_WEIGHTS = {1: 14, 2: 20, 3: 20, 4: 16, 5: 11, 6: 8, 7: 6, 8: 3, 9: 2}
_FAILURE_SHARE: dict[Family, float] = {"mobile_data_issue": 0.08, "service_issue": 0.35, "mms_issue": 0.06}
"""How often a task of a family is one that has to be handed over."""
_SCENERY_ABROAD = 0.12
"""How often a user without a roaming fault is abroad all the same, with roaming in order."""
_KEPT_TASKS = 2048
"""Made tasks that a set remembers."""
_ID_END = re.compile(r"#(?P<split>[a-z-]+)-(?P<index>\d+)$")


class _Draw(NamedTuple):
    """The first draws of a task: what its id says."""

    rng: Random
    composition: Composition
    persona: Persona


class NativeTasks(GeneratedTasks):
    """A set of generated tasks.

    Args:
        seed: Decides everything; another seed gives other tasks.
        split: Which tasks.
        count: How many tasks.
        max_faults: The most faults in one task.
        families: What may fail.
        faults: Only tasks with at least one of these faults; all by default.
        without_faults: Only tasks with none of these faults.
        consecutive: Share of carriers that number customers, lines and bills one after the other, 0 to 1; the others
            draw ids at random.

    Raises:
        ConfigurationError: If an argument has no valid value.
    """

    def __init__(
        self,
        seed: int = 0,
        split: Split = "train",
        count: int = 1000,
        *,
        max_faults: int = MAX_FAULTS,
        families: tuple[Family, ...] = FAMILIES,
        faults: tuple[str, ...] | None = None,
        without_faults: tuple[str, ...] = (),
        consecutive: float = 0.0,
    ) -> None:
        super().__init__(count, _KEPT_TASKS)
        _check(split, max_faults, families)
        if not 0 <= consecutive <= 1:
            raise ConfigurationError(f"consecutive is {consecutive}; valid: a share of carriers, 0 to 1")
        self.consecutive = consecutive
        self.seed = seed
        self.split_name = split
        self.max_faults = max_faults
        self.families = tuple(families)
        self.faults = faults
        self.without_faults = without_faults

    def make_id(self, index: int) -> str:
        """Return the id of the task at a position."""
        return self._id(index, self._draw(index))

    def make_task(self, index: int) -> Task:
        """Make the task at a position."""
        draw = self._draw(index)
        return _make_task(self._id(index, draw), draw, self.split_name, self.consecutive)

    def labels_of(self, index: int) -> Mapping[str, Any]:
        """Return the labels of the task at a position, without making the task."""
        draw = self._draw(index)
        return _labels(draw.composition, draw.persona, self.split_name)

    def claimed_index(self, task_id: str) -> int | None:
        """Return the position that an id claims to be of."""
        found = _ID_END.search(task_id)
        return int(found["index"]) if found is not None else None

    def _id(self, index: int, draw: _Draw) -> str:
        return f"{draw.composition.name}[PERSONA:{draw.persona}]#{self.split_name}-{index:06d}"

    def _draw(self, index: int) -> _Draw:
        rng = Random(f"{self.seed}/{self.split_name}/{index}")
        unseen = self.split_name == "test-compositions"
        choices = _choices(unseen, self.max_faults, self.families, self.faults, self.without_faults)
        return _Draw(rng, choices.draw(rng), rng.choice(PERSONAS))


def _check(split: str, max_faults: int, families: tuple[Family, ...]) -> None:
    if split not in SPLITS:
        raise ConfigurationError(f"no split {split!r}; valid: {', '.join(SPLITS)}.{did_you_mean(split, SPLITS)}")
    fewest = 2 if split == "test-compositions" else 1
    if not fewest <= max_faults <= MAX_FAULTS:
        raise ConfigurationError(f"max_faults is {max_faults}; valid for split {split!r}: {fewest} to {MAX_FAULTS}")
    for family in families:
        if family not in FAMILIES:
            hint = did_you_mean(family, FAMILIES)
            raise ConfigurationError(f"no family {family!r}; valid: {', '.join(FAMILIES)}.{hint}")
    if not families:
        raise ConfigurationError(f"families is empty; valid: {', '.join(FAMILIES)}")


class Choices:
    """Compositions by family, kind of outcome and number of faults, to draw from.

    Args:
        pool: The compositions.

    Raises:
        ConfigurationError: If there is none.
    """

    def __init__(self, pool: Iterable[Composition]) -> None:
        self._pools: dict[tuple[Family, bool], dict[int, list[Composition]]] = {}
        for each in pool:
            counts = self._pools.setdefault((each.family, each.expected_failure), {})
            counts.setdefault(len(each.faults), []).append(each)
        self._families = list(dict.fromkeys(family for family, _ in self._pools))
        self._weights = [_FAMILY_WEIGHTS[family] for family in self._families]
        if not self._families:
            raise ConfigurationError("no composition to draw from")

    def draw(self, rng: Random) -> Composition:
        """Draw a family, then whether it has to be handed over, then the number of faults, then the faults."""
        family = rng.choices(self._families, self._weights)[0]
        failing = rng.random() < _FAILURE_SHARE[family]
        pool = self._pools.get((family, failing)) or self._pools[family, not failing]
        counts = list(pool)
        return rng.choice(pool[rng.choices(counts, [_COUNT_WEIGHTS[count] for count in counts])[0]])


@cache
def _choices(
    unseen: bool,
    max_faults: int,
    families: tuple[Family, ...],
    faults: tuple[str, ...] | None,
    without: tuple[str, ...],
) -> Choices:
    """Return what tasks of these settings are drawn from."""
    every = (each for family in families for each in compositions(family))
    return Choices(each for each in every if each.fits(max_faults, faults, without) and held_out(each) == unseen)


def make_task(composition: Composition, persona: Persona = "None", seed: int = 0) -> Task:
    """Return a task with exactly these faults; another seed gives another customer, phone and ticket.

    Args:
        composition: The faults.
        persona: How the user talks.
        seed: Decides everything else.
    """
    task_id = f"{composition.name}[PERSONA:{persona}]#made-{seed:06d}"
    return _make_task(task_id, _Draw(Random(task_id), composition, persona), "made")


def _make_task(task_id: str, draw: _Draw, split: str, consecutive: float = 0.0) -> Task:
    rng, composition, persona = draw
    carrier = draw_carrier(rng, consecutive)
    can_travel = composition.family != "service_issue"
    abroad = composition.abroad or (can_travel and rng.random() < _SCENERY_ABROAD)
    agent = carrier.records()
    if abroad and not composition.abroad:
        carrier.line["roaming_enabled"] = True
    phone = draw_phone(rng, abroad)
    subject = _subject(rng, composition, carrier.customer, carrier.line, carrier.plan(carrier.line))
    ticket, scenario = _Words(rng, composition, persona, subject, abroad).write()
    calls = situation(composition, subject)
    if abroad and not composition.abroad:
        calls = (calls[0], _ABROAD, *calls[1:])
    return Task.model_construct(
        id=task_id,
        ticket=ticket,
        initialization=calls,
        actions=solution(composition, subject, phrases("tickets")["transfer_summary"]),
        assertions=goal(composition, subject),
        labels=_labels(composition, persona, split),
        data={
            "records": {"agent": agent, "user": phone},
            "scenario": scenario,
            "reward_basis": ["ENV_ASSERTION", "ACTION"] if composition.expected_failure else ["ENV_ASSERTION"],
        },
    )


def _labels(composition: Composition, persona: Persona, split: str) -> dict[str, str | int | bool | list[str] | None]:
    return {
        "family": composition.family,
        "persona": persona,
        "faults": list(composition.faults),
        "expected_failure": composition.expected_failure,
        "split": split,
    }


_ABROAD = FunctionCall(target="user", name="set_user_location", arguments={"abroad": True})


def _subject(
    rng: Random, composition: Composition, customer: dict[str, Any], line: dict[str, Any], plan: dict[str, Any]
) -> Subject:
    slow = ("2g_only", "3g_only") if composition.family == "mobile_data_issue" else ("2g_only",)
    return Subject(
        customer_id=customer["customer_id"],
        line_id=line["line_id"],
        name=customer["full_name"],
        phone_number=line["phone_number"],
        bill_id=f"B{rng.randint(1_000_000, 9_999_999)}",
        data_limit_gb=plan["data_limit_gb"],
        overage_gb=rng.choice((0.1, 0.1, 0.2, 0.3, 0.4)),
        refuel_gb=_agreed_amount(rng, composition.family),
        slow_mode=rng.choice(slow),
    )


def _agreed_amount(rng: Random, family: Family) -> float:
    return rng.choice((REFUEL_LIMIT_GB, REFUEL_LIMIT_GB, 1.0, 1.5, 0.5)) if family != "service_issue" else 0.0


class _Words:
    """Puts facts into words."""

    def __init__(self, rng: Random, composition: Composition, persona: Persona, subject: Subject, abroad: bool) -> None:
        self._rng, self._family, self._persona, self._abroad = rng, composition.family, persona, abroad
        self._refuel_gb: float | None = subject.refuel_gb if self._family != "service_issue" else None
        self._subject = subject
        place = rng.choice(phrases("people")["countries"] if abroad else phrases("people")["cities"])
        where = rng.choice(phrases("tickets")["where"]["abroad" if abroad else "home"])
        self._where = where.format(place=place if abroad else f"{place[0]}, {place[1]}")

    def _say(self, templates: list[str]) -> str:
        return self._rng.choice(templates).format(
            name=self._subject.name, phone=self._subject.phone_number, where=self._where, gb=self._refuel_gb
        )

    def write(self) -> tuple[str, dict[str, Any]]:
        """Return the ticket and the user's scenario."""
        return self._ticket(), self._scenario()

    def _ticket(self) -> str:
        templates = phrases("tickets")
        own = templates[self._family]
        who = [self._say(templates["identity"])]
        if self._family != "service_issue":
            who.append(self._say(templates["location"]))
        wishes = [self._say(own["goal"])]
        if self._family != "mms_issue" or self._refuel_gb != REFUEL_LIMIT_GB or self._rng.random() < 0.5:
            wishes.append(self._say(own["consent"]))
        self._rng.shuffle(wishes)
        problem = [self._say(own["problem"])]
        return " ".join((who + problem if self._rng.random() < 0.25 else problem + who) + wishes)

    def _scenario(self) -> dict[str, Any]:
        templates = phrases("scenarios")
        own = templates[self._family]
        known = [templates["known"]] + ([templates["known_location"]] if self._family != "service_issue" else [])
        tells_place = self._family != "service_issue"
        return UserScenario(
            name=self._subject.name,
            phone_number=self._subject.phone_number,
            location=self._where if tells_place else None,
            abroad=self._abroad if tells_place else None,
            family=self._family,
            persona=self._persona,
            reason_for_call=self._say(own["reason"]),
            known_info=" ".join(self._say([template]) for template in known),
            task_instructions=f"{templates['conduct']} {self._say(own['settled'])}",
            refuel_gb=self._refuel_gb,
            pays_bills=self._family == "service_issue",
            has_wifi=False if self._family == "mobile_data_issue" else None,
        ).model_dump()
