"""Tasks: one fault in one region, and a ticket about it.

Every task is drawn from its own random stream, `seed/split/index`. `train`, `dev` and `test` use the same archetypes
and disjoint regions; `ood-faults` has causes that are never learnt from, `ood-topology` archetypes that never are. A
ticket says what its source could know: it is made from the symptoms of the simulated network, not from the cause.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple, get_args

import yaml

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.task import GeneratedTasks, Task
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.alarms import active_alarms
from telegym.envs.base_station.engine import DAY_S, HOUR_S, MINUTE_S, time_text
from telegym.envs.base_station.faults import Defect, fault, fault_codes, fault_infos
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, integer, mix
from telegym.envs.base_station.objects import Cell, Site
from telegym.envs.base_station.process import field
from telegym.envs.base_station.process.records import Ticket
from telegym.envs.base_station.region.archetypes import archetype_names

__all__ = ["HELD_OUT_FAULTS", "SPLITS", "BaseStationTasks", "Split", "build_case", "ticket_text"]

Split = Literal["train", "dev", "test", "ood-faults", "ood-topology"]
"""Which tasks."""
SPLITS: tuple[Split, ...] = get_args(Split)
HELD_OUT_FAULTS = frozenset(
    {
        *("cooling_system_failure", "microwave_rain_fade", "tx_branch_failure", "feeder_disconnected"),
        *("wrong_tac", "certificate_expired", "planned_work_alarms"),
    }
)
"""Everyday causes that only the split `ood-faults` has; every family of several keeps some."""
TICKET = "INC-10023"
"""The ticket of every task."""
LANGUAGES = ("en", "zh")
_REGIONS: dict[Split, tuple[int, int]] = {
    "train": (0, 9_999),
    "dev": (10_000, 10_499),
    "test": (11_000, 11_999),
    "ood-faults": (11_000, 11_999),
    "ood-topology": (12_000, 12_999),
}
_ID = re.compile(r"^bs-(?P<split>[a-z-]+)-(?P<index>\d{6})-[0-9a-f]{8}$")


class Plan(NamedTuple):
    """What a task is made of."""

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
    code: str
    """The cause."""
    element_id: str
    """Where."""


class BaseStationTasks(GeneratedTasks):
    """A set of generated tasks, made when they are asked for.

    Args:
        seed: Decides everything.
        split: Which tasks.
        count: How many.
        levels: Hardest and easiest difficulty of causes, 1 to 5.
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
        levels: tuple[int, int] = (1, 5),
        language: str = "en",
    ) -> None:
        super().__init__(count, kept=512)
        if split not in SPLITS:
            raise ConfigurationError(f"no split {split!r}; valid: {', '.join(SPLITS)}.{did_you_mean(split, SPLITS)}")
        if language not in LANGUAGES:
            raise ConfigurationError(f"no language {language!r}; valid: {', '.join(LANGUAGES)}")
        if not 1 <= levels[0] <= levels[1] <= 5 or count < 0:
            raise ConfigurationError(
                f"levels {levels} with count {count}: levels go from 1 to 5, a count is not negative"
            )
        self.seed, self.split_name, self.levels, self.language = seed, split, levels, language

    def make_id(self, index: int) -> str:
        """Return an id that says nothing about the cause."""
        return f"bs-{self.split_name}-{index:06}-{mix(self.seed, 'id', self.split_name, index) & 0xFFFFFFFF:08x}"

    def claimed_index(self, task_id: str) -> int | None:
        """Return the position that an id claims to be of."""
        found = _ID.match(task_id)
        return int(found["index"]) if found is not None else None

    def make_task(self, index: int) -> Task:
        """Make the task at a position."""
        plan = self._plan(index)
        row = fault_infos()[plan.code]
        network, defect = build_case(plan._asdict())
        text = ticket_text(network, defect, self.language, "A" if self.split_name == "train" else "B")
        return Task(
            id=self.make_id(index),
            ticket=f"{TICKET}: {text['title']}\n{text['text']}",
            labels={"family": row.family, "level": row.difficulty, "cause": plan.code, "archetype": plan.archetype},
            data={**plan._asdict(), "ticket": text, "language": self.language},
        )

    def _plan(self, index: int) -> Plan:
        seed = mix(self.seed, self.split_name, index)
        for attempt in range(64):
            plan = self._draw(mix(seed, "attempt", attempt))
            if plan is not None:
                return plan
        raise ConfigurationError(f"no cause of levels {self.levels} can happen in split {self.split_name!r}")

    def _draw(self, seed: int) -> Plan | None:
        unseen = self.split_name == "ood-topology"
        kind = choice(archetype_names(held_out=unseen), seed, "archetype")
        region = integer(*_REGIONS[self.split_name], seed, "region")
        codes = [code for code in fault_codes(1) if self._may(code)]
        if not codes:
            raise ConfigurationError(f"split {self.split_name!r} has no causes of levels {self.levels}")
        code = choice(codes, seed, "cause")
        hour = choice((3, 8, 10, 11, 13, 14, 15, 17, 19, 20, 21, 23), seed, "hour")
        onset = DAY_S * integer(7, 12, seed, "day") + HOUR_S * hour + 60 * integer(0, 59, seed, "minute")
        network = Network(kind, region, seed=seed, start_s=onset)
        options = fault(code).eligible(network)
        if not options:
            return None
        element = choice(options, seed, "element")
        lead = fault(code).lead_min + integer(0, 30, seed, "lead")
        return Plan(kind, region, seed, onset, lead, code, element)

    def _may(self, code: str) -> bool:
        level = fault_infos()[code].difficulty
        held = code in HELD_OUT_FAULTS
        return self.levels[0] <= level <= self.levels[1] and held == (self.split_name == "ood-faults")


def build_case(data: dict[str, Any]) -> tuple[Network, Defect]:
    """Return the network of a task at the time of its ticket, without the ticket, and its defect.

    Args:
        data: The fields of a plan.
    """
    network = Network(data["archetype"], data["region_seed"], seed=data["seed"], start_s=data["onset_s"] - HOUR_S)
    field.staff(network)
    network.advance(HOUR_S)
    defect = fault(data["code"]).inject(network, data["element_id"], seed=data["seed"])
    network.advance(data["lead_min"] * MINUTE_S)
    network.start_s = network.now
    return network, defect


@cache
def _templates(language: str) -> dict[str, dict[str, list[dict[str, Any]]]]:
    file = resources.files("telegym.envs.base_station").joinpath("texts", language, "tickets.yaml")
    found: dict[str, dict[str, list[dict[str, Any]]]] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def ticket_text(network: Network, defect: Defect, language: str, variant: str) -> dict[str, Any]:
    """Return source, title and text of a ticket, made from what can be seen.

    Args:
        network: The network at the time of the ticket.
        defect: Tells where to look; its cause is not used.
        language: `en` or `zh`.
        variant: `A` or `B`: which of two disjoint sets of templates.
    """
    out = [cell for cell in network.all(Cell) if not works.in_service(network, cell.id)]
    alarms = active_alarms(network)
    site_id = _site(network, defect.element_id)
    near = network.at_site(Cell, site_id)
    cells = [cell for cell in near if cell.id == defect.element_id] or near[:1]
    kind = _kind(defect, out=bool(out), alarms=bool(alarms))
    chosen = choice(_templates(language)[kind][variant], network.seed, "ticket")
    since = defect.since_s + 60 * integer(-10, 10, network.seed, "since")
    seen = out[0].site_id if out and site_id not in {cell.site_id for cell in out} else site_id
    slots = {
        "site": seen,
        "place": network.get(Site, seen).name,
        "cells": ", ".join(cell.id for cell in cells),
        "count": len(out),
        "since": time_text(since)[:-3],
    }
    return {
        "source": chosen["source"],
        "human": chosen["human"],
        "title": chosen["title"].format(**slots),
        "text": chosen["text"].format(**slots),
        "scope": [seen],
    }


def _kind(defect: Defect, *, out: bool, alarms: bool) -> str:
    """Return what a source could have noticed: an outage, an alarm, worse service, or nothing but a doubt."""
    family = fault_infos()[defect.code].family
    if out:
        return "outage"
    if alarms or family in ("no_fault", "clock"):
        return "alarm"
    return "audit" if family == "power" else "degraded"


def _site(network: Network, element: str) -> str:
    """Return the site of an element; for what stands between sites, the nearest one to them."""
    record = network.objects.get(element)
    site = getattr(record, "site_id", None) or (element if isinstance(record, Site) else None)
    if site is None:
        end = getattr(record, "a_id", None) or element
        numbers = [part for part in re.split(r"[-S>]", end) if part.isdigit() and len(part) == 3]
        site = f"S{numbers[0]}" if numbers else network.region.layout.sites[0].id
    return site


def add_ticket(network: Network, data: dict[str, Any]) -> None:
    """Open the ticket of a task."""
    text = data["ticket"]
    answers = (
        ("confirm_symptom", text["text"]),
        ("affected_area", text["scope"][0]),
        ("start_time", text["text"]),
        ("recent_work", "unknown"),
    )
    network.add(
        Ticket(
            TICKET,
            network.now,
            text["source"],
            text["human"],
            text["title"],
            text["text"],
            tuple(text["scope"]),
            answers=answers,
        )
    )
