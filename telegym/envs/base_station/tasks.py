"""Tasks: what is wrong in which region, how hard it is to see, and a ticket about it.

Every task is drawn from its own random stream, `seed/split/index`. `train`, `dev` and `test` use the same archetypes
and disjoint regions; `ood-faults` has causes that are never learnt from, `ood-topology` archetypes that never are,
`ood-combinations` several causes at once that never are. A ticket says what its source could know: it is made from the
symptoms of the simulated network, not from the cause.

The level of a task says what makes it hard: 0 to look something up, 1 one loud fault, 2 somebody has to be sent or a
change approved, 3 floods of symptoms and other parties, 4 faults without an alarm, 5 several at once. With the level
grow what else is in the network and how imprecise the ticket is.
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple, get_args

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.task import GeneratedTasks, Task
from telegym.envs.base_station.cases import begin, build_case, build_question
from telegym.envs.base_station.engine import DAY_S, HOUR_S, MINUTE_S
from telegym.envs.base_station.faults import fault_codes, fault_infos
from telegym.envs.base_station.faults.combinations import combination_names, inject_combination, lead_s
from telegym.envs.base_station.faults.registry import Form
from telegym.envs.base_station.faults.temporal import fault_as, forms_of
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, integer, mix, uniform
from telegym.envs.base_station.region.archetypes import archetype_names
from telegym.envs.base_station.ticketing import describe

__all__ = ["HELD_OUT_COMBINATIONS", "HELD_OUT_FAULTS", "KINDS", "SPLITS", "BaseStationTasks", "Kind", "Split"]

Split = Literal["train", "dev", "test", "ood-faults", "ood-topology", "ood-combinations"]
"""Which tasks."""
SPLITS: tuple[Split, ...] = get_args(Split)
Kind = Literal["RES", "DIA", "PRV", "NOF", "ESC", "QNA"]
"""Resolve, diagnose only, prevent an outage, no fault, hand over, question."""
KINDS: tuple[Kind, ...] = get_args(Kind)
SHARES: dict[Kind, float] = {"RES": 0.50, "DIA": 0.12, "PRV": 0.10, "NOF": 0.12, "ESC": 0.06, "QNA": 0.10}
"""How often each kind is drawn where it can be."""
HELD_OUT_FAULTS = frozenset(
    {
        *("cooling_system_failure", "microwave_rain_fade", "tx_branch_failure", "feeder_disconnected"),
        *("wrong_tac", "certificate_expired", "planned_work_alarms"),
    }
)
"""Everyday causes that only the split `ood-faults` has; every family of several keeps some."""
HELD_OUT_COMBINATIONS = frozenset({"K7", "K11", "K12"})
"""Combinations that only the split `ood-combinations` has."""
LANGUAGES = ("en", "zh")
HIGHEST_LEVEL = 5
"""The hardest level."""
HARDEST_QUESTION = 2
"""Level of the hardest questions."""
COMBINED = 0.6
"""How often a case of the highest level has several causes."""
OTHER_FORM = 0.3
"""How often a fault of level 3 or more takes another form than its usual one."""
_REGIONS: dict[Split, tuple[int, int]] = {
    "train": (0, 9_999),
    "dev": (10_000, 10_499),
    "test": (11_000, 11_999),
    "ood-faults": (11_000, 11_999),
    "ood-topology": (12_000, 12_999),
    "ood-combinations": (11_000, 11_999),
}
_HOURS = (3, 8, 10, 11, 13, 14, 15, 17, 19, 20, 21, 23)
_ATTEMPTS = 200
_ID = re.compile(r"^bs-(?P<split>[a-z-]+)-(?P<index>\d{6})-[0-9a-f]{8}$")


class Plan(NamedTuple):
    """What a task is made of."""

    kind: Kind
    """What is asked for."""
    level: int
    """How hard it is, 0 to 5."""
    archetype: str
    """Kind of region."""
    region_seed: int
    """Which region."""
    seed: int
    """Decides everything random in it."""
    onset_s: int
    """When the fault begins."""
    lead_min: int
    """Minutes until the ticket."""
    faults: tuple[dict[str, str], ...]
    """What is wrong, the main cause first: `code`, `element_id`, `form`."""
    combination: str | None = None
    """Name of the combination, if these faults are one."""


class BaseStationTasks(GeneratedTasks):
    """A set of generated tasks, made when they are asked for.

    Args:
        seed: Decides everything.
        split: Which tasks.
        count: How many.
        levels: Lowest and highest level, 0 to 5.
        kinds: Kinds of tasks; all by default.
        language: Language of tickets.

    Raises:
        ConfigurationError: If an argument has no valid value.
    """

    def __init__(
        self,
        seed: int = 0,
        split: Split = "train",
        count: int = 1000,
        *,
        levels: tuple[int, int] = (0, HIGHEST_LEVEL),
        kinds: tuple[Kind, ...] = KINDS,
        language: str = "en",
    ) -> None:
        super().__init__(count, kept=512)
        if split not in SPLITS:
            raise ConfigurationError(f"no split {split!r}; valid: {', '.join(SPLITS)}.{did_you_mean(split, SPLITS)}")
        if language not in LANGUAGES:
            raise ConfigurationError(f"no language {language!r}; valid: {', '.join(LANGUAGES)}")
        if not 0 <= levels[0] <= levels[1] <= HIGHEST_LEVEL:
            raise ConfigurationError(f"levels {levels}: they go from 0 to {HIGHEST_LEVEL}, the lowest first")
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown or not kinds:
            hint = did_you_mean(unknown[0], KINDS) if unknown else ""
            raise ConfigurationError(f"kinds {', '.join(kinds) or '(none)'}; valid: {', '.join(KINDS)}.{hint}")
        self.seed, self.split_name, self.levels, self.kinds, self.language = seed, split, levels, kinds, language

    def make_id(self, index: int) -> str:
        """Return an id that says nothing about the cause."""
        return f"bs-{self.split_name}-{index:06}-{mix(self.seed, 'id', self.split_name, index) & 0xFFFFFFFF:08x}"

    def claimed_index(self, task_id: str) -> int | None:
        """Return the position that an id claims to be of."""
        found = _ID.match(task_id)
        return int(found["index"]) if found is not None else None

    def make_task(self, index: int) -> Task:
        """Make the task at a position.

        Raises:
            ConfigurationError: If there are no tasks of these kinds and levels in the split.
        """
        seed = mix(self.seed, self.split_name, index)
        for attempt in range(_ATTEMPTS):
            plan = self._draw(mix(seed, "attempt", attempt))
            task = self._task_of(index, plan) if plan is not None else None
            if task is not None:
                return task
        raise ConfigurationError(
            f"split {self.split_name!r} has no tasks of kinds {', '.join(self.kinds)} and levels {self.levels}"
        )

    def _task_of(self, index: int, plan: Plan) -> Task | None:
        """Return the task of a plan; None if it does not pass the gates."""
        from telegym.envs.base_station.players.reference import accepted_par

        data = self._data(plan)
        if data is None:
            return None
        task = Task(id=self.make_id(index), ticket=data["ticket"]["shown"], labels=_labels(plan), data=data)
        par = accepted_par(task)
        return None if par is None else task.model_copy(update={"data": {**data, "par": list(par)}})

    def _data(self, plan: Plan) -> dict[str, Any] | None:
        """Return what a task is built from, its ticket included; None if nothing is to be seen of its fault."""
        data = {**plan._asdict(), "faults": list(plan.faults), "language": self.language}
        variant = "A" if self.split_name == "train" else "B"
        if plan.kind == "QNA":
            return build_question(data, variant)
        network, defects = build_case(data)
        if [(item.code, item.element_id) for item in defects] != [(x["code"], x["element_id"]) for x in plan.faults]:
            return None
        made = {**data, "ticket": describe(network, defects, data, variant)}
        begin(made, network, defects)
        return made

    # --- drawing ---------------------------------------------------------------------------------------

    def _draw(self, seed: int) -> Plan | None:
        kind = _drawn_kind(self.kinds, seed)
        level = integer(*self.levels, seed, "level")
        if kind == "QNA" and level > HARDEST_QUESTION:
            return None
        archetype = choice(archetype_names(held_out=self.split_name == "ood-topology"), seed, "archetype")
        region = integer(*_REGIONS[self.split_name], seed, "region")
        onset = DAY_S * integer(7, 12, seed, "day") + HOUR_S * choice(_HOURS, seed, "hour")
        onset += 60 * integer(0, 59, seed, "minute")
        base = Plan(kind, level, archetype, region, seed, onset, 0, ())
        network = Network(archetype, region, seed=seed, start_s=onset)
        if self._combines(kind, level, seed):
            return self._combined(network, base)
        return self._single(network, base)

    def _single(self, network: Network, base: Plan) -> Plan | None:
        """Return a plan with one cause; None if there is none that can happen."""
        seed = base.seed
        codes = self._codes(base.kind, base.level, seed)
        if not codes:
            return None
        code = choice(codes, seed, "cause")
        form = _drawn_form(code, base.kind, base.level, seed)
        options = fault_as(code, form).eligible(network)
        if not options:
            return None
        lead = fault_as(code, form).lead_min + integer(0, 30, seed, "lead")
        faults = ({"code": code, "element_id": choice(options, seed, "element"), "form": form},)
        return base._replace(lead_min=lead, faults=faults)

    def _combines(self, kind: Kind, level: int, seed: int) -> bool:
        if kind not in ("RES", "DIA"):
            return False
        if self.split_name == "ood-combinations":
            return True
        learnt = self.split_name != "ood-faults"
        return learnt and level == HIGHEST_LEVEL and uniform(seed, "combined") < COMBINED

    def _combined(self, network: Network, base: Plan) -> Plan | None:
        """Return a plan with several causes; None if they cannot happen here, or are for another split."""
        held = self.split_name == "ood-combinations"
        names = [name for name in combination_names() if (name in HELD_OUT_COMBINATIONS) == held]
        name = choice(names, base.seed, "combination")
        defects = inject_combination(network, name, base.seed)
        if defects is None or (not held and any(item.code in HELD_OUT_FAULTS for item in defects)):
            return None
        lead = lead_s(network, name, defects) // MINUTE_S + integer(0, 10, base.seed, "lead")
        faults = tuple({"code": d.code, "element_id": d.element_id, "form": d.form} for d in defects)
        return base._replace(level=HIGHEST_LEVEL, lead_min=lead, faults=faults, combination=name)

    def _codes(self, kind: Kind, level: int, seed: int) -> list[str]:
        """Return the causes of a kind and level: mostly those that begin at this level."""
        known = [code for code in fault_codes(1) if self._may(code, kind) and fault_infos()[code].level <= level]
        own = [code for code in known if fault_infos()[code].level == level]
        return own if own and uniform(seed, "own level") < 0.75 else known

    def _may(self, code: str, kind: Kind) -> bool:
        if self.split_name == "ood-combinations":
            return False
        if (code in HELD_OUT_FAULTS) != (self.split_name == "ood-faults"):
            return False
        if kind == "QNA":
            return fault_infos()[code].level <= 2
        return kind in fault_infos()[code].kinds and (kind != "PRV" or "delayed" in forms_of(code))


def _drawn_kind(kinds: tuple[Kind, ...], seed: int) -> Kind:
    total = sum(SHARES[kind] for kind in kinds)
    left = total * uniform(seed, "kind")
    for kind in kinds:
        left -= SHARES[kind]
        if left < 0:
            return kind
    return kinds[-1]


def _drawn_form(code: str, kind: Kind, level: int, seed: int) -> Form:
    known = forms_of(code)
    if kind == "PRV":
        return "delayed"
    others = [form for form in known[1:] if form != "delayed"]
    if level >= 3 and others and uniform(seed, "other form") < OTHER_FORM:
        return choice(others, seed, "form")
    return known[0]


def _labels(plan: Plan) -> dict[str, Any]:
    main = plan.faults[0]["code"]
    return {
        "kind": plan.kind,
        "level": plan.level,
        "family": "question" if plan.kind == "QNA" else fault_infos()[main].family,
        "cause": main,
        "form": plan.faults[0]["form"],
        "combination": plan.combination,
        "archetype": plan.archetype,
    }
