"""Field work: sending technicians, and what they find and repair on site.

A repair changes physical state only, and only where the action fits the defect; an action that does not fit takes its
time and finds nothing. Whether the whole is repaired shows in the network, as it does in reality.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict

from telegym.core.errors import ToolError, did_you_mean
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.engine import DAY_S, HOUR_S, MINUTE_S, handles
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, integer, uniform
from telegym.envs.base_station.objects import (
    AccessRule,
    AdministrativeState,
    AntennaLine,
    Board,
    BreakerState,
    Cabinet,
    Cell,
    ClockUnit,
    FronthaulLink,
    Generator,
    GeneratorState,
    PowerSystem,
    RadioUnit,
    Record,
    RetUnit,
    Router,
    Site,
    TransportLink,
)
from telegym.envs.base_station.process.records import (
    Depot,
    Note,
    Technician,
    TechnicianState,
    WorkOrder,
    WorkState,
)
from telegym.envs.base_station.process.tickets import open_ticket

__all__ = ["Finding", "catalogue", "dispatch", "instruct", "staff", "travel_min", "work_cost_eur"]

_SKILLS = ("power", "transport", "radio", "antenna_climb", "clock", "baseband", "hvac", "fuel")
_Shift = Literal["day", "night", "on-call"]
_SHIFTS: tuple[_Shift, ...] = ("day", "day", "night")
CALL_OUT_EUR = 350.0
"""Price of a dispatch."""
HOUR_EUR = 90.0
"""Price of an hour of work."""
NIGHT_FACTOR = 1.6
"""Factor on the price of an hour between 20 and 6 h."""
ANTENNA_ACTIONS = ("tighten_antenna_line", "swap_feeders", "align_antenna")
_CONNECTOR_ACTIONS = ("replace_part", "clean_connector", "reseat_connector")
ANTENNA_PARTS = ("JUMPER_KIT", "FEEDER_KIT", "TMA", "RET_MOTOR")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    price: float
    minutes: int


class Catalogue(BaseModel):
    """Parts, actions and tasks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parts: dict[str, _Part]
    """Price and minutes to replace, by type."""
    actions: dict[str, int]
    """Minutes of each action."""
    tasks: dict[str, str | None]
    """Skill that each task needs."""


@cache
def catalogue() -> Catalogue:
    """Return the catalogue of parts, actions and tasks."""
    text = resources.files("telegym.envs.base_station.process").joinpath("parts.yaml").read_text(encoding="utf-8")
    return Catalogue.model_validate(yaml.safe_load(text))


class Finding(NamedTuple):
    """What came of an action."""

    text: str
    """What the technician says."""
    minutes: float
    """How long it took."""
    done: bool
    """Whether it changed anything."""


# --- people and parts -----------------------------------------------------------------------------------


def staff(network: Network) -> None:
    """Give a network its technicians and depot."""
    seed, sites = network.seed, len(network.region.layout.sites)
    count = 3 + (sites > 8) + (sites > 12) + (sites > 18)
    for number in range(1, count + 1):
        main = _SKILLS[(2 * number + integer(0, 7, seed, "first skill")) % len(_SKILLS)]
        skills = {main, *(skill for skill in _SKILLS if uniform(seed, "skill", number, skill) < 0.55)}
        shift: _Shift = "on-call" if number == 1 else choice(_SHIFTS, seed, "shift", number)
        network.add(Technician(f"TECH-{number:02}", tuple(skill for skill in _SKILLS if skill in skills), shift))
    # The one on call can do everything, so that no case depends on luck alone.
    network.update(network.get(Technician, "TECH-01"), skills=_SKILLS)
    stock = tuple((part, _stock(network, part)) for part in catalogue().parts)
    network.add(Depot("DEPOT", stock, integer(1, 2, seed, "mobile generators")))


def _stock(network: Network, part: str) -> int:
    return 0 if uniform(network.seed, "missing part", part) < 0.05 else integer(1, 4, network.seed, "stock", part)


def on_shift(technician: Technician, now: int) -> bool:
    """Return whether a technician works at a time."""
    hour = now % DAY_S / HOUR_S
    day = 6 <= hour < 18
    return technician.shift == "on-call" or (technician.shift == "day") == day


def travel_min(network: Network, site: Site, at_s: int, *, parts: bool) -> int:
    """Return the minutes until a technician who is sent now arrives: mobilising, driving, spares, night, access."""
    hour = at_s % DAY_S / HOUR_S
    night = hour < 6 or hour >= 22
    minutes = 25.0 + 60.0 * site.travel_km / 45.0 + (20 if parts else 0) + (30 if night else 0)
    if site.access is AccessRule.KEY_HOLDER:
        minutes += 25
    if site.access is AccessRule.PERMIT:
        minutes += 120
    arrival = at_s + round(minutes) * MINUTE_S
    if site.access is AccessRule.OFFICE_HOURS and not 8 <= arrival % DAY_S / HOUR_S < 18:
        opening = arrival - arrival % DAY_S + 8 * HOUR_S
        arrival = opening if opening >= arrival else opening + DAY_S
    return (arrival - at_s) // MINUTE_S


def dispatch(
    network: Network,
    site_id: str,
    task: str,
    ticket_id: str,
    parts: tuple[str, ...] = (),
    technician_id: str | None = None,
    *,
    urgent: bool = True,
    note: str = "",
) -> WorkOrder:
    """Send a technician.

    Raises:
        ToolError: If site, ticket, part or technician do not exist, a part is not in stock, or nobody suitable is free.
    """
    site = network.get(Site, site_id)
    open_ticket(network, ticket_id)
    depot = _with_parts_taken(network.get(Depot, "DEPOT"), parts)
    technician = _choose(network, task, technician_id, urgent=urgent)
    if task == "mobile_generator":
        if not depot.mobile_generators:
            raise ToolError("RESOURCE_BUSY: no mobile generator is free")
        depot = replace(depot, mobile_generators=depot.mobile_generators - 1)
    leave = network.now if urgent else _next_morning(network.now)
    arrival = leave + travel_min(network, site, leave, parts=bool(parts)) * MINUTE_S
    number = 12 + sum(isinstance(item, WorkOrder) for item in network.objects.values())
    order = WorkOrder(
        f"WO-{number:05}", ticket_id, site_id, task, technician.id, network.now, arrival, urgent, parts, note=note
    )
    network.add(depot)
    network.add(order)
    network.update(technician, state=TechnicianState.EN_ROUTE, work_order_id=order.id)
    network.schedule(arrival, "technician_arrival", order.id)
    return order


def _next_morning(now: int) -> int:
    morning = now - now % DAY_S + 8 * HOUR_S
    return morning if morning > now else morning + DAY_S


def _with_parts_taken(depot: Depot, parts: tuple[str, ...]) -> Depot:
    stock = dict(depot.parts)
    for part in parts:
        if part not in stock:
            raise ToolError(f"NOT_FOUND: no part type {part!r}.{did_you_mean(part, stock)}")
        if stock[part] < 1:
            raise ToolError(f"RESOURCE_BUSY: {part} is not in stock")
        stock[part] -= 1
    return replace(depot, parts=tuple(stock.items()))


def _choose(network: Network, task: str, technician_id: str | None, *, urgent: bool) -> Technician:
    skill = catalogue().tasks[task]
    people = [network.get(Technician, technician_id)] if technician_id else _technicians(network)
    able = [person for person in people if skill is None or skill in person.skills]
    if not able:
        who = technician_id or "anybody"
        raise ToolError(f"PRECONDITION_FAILED: {task} needs the skill {skill}, which {who} lacks")
    free = [
        person
        for person in able
        if person.state is TechnicianState.IDLE and (not urgent or on_shift(person, network.now))
    ]
    if not free:
        raise ToolError(f"RESOURCE_BUSY: no technician for {task} is free now")
    return min(free, key=lambda person: (len(person.skills), person.id))


def _technicians(network: Network) -> list[Technician]:
    return [item for item in network.objects.values() if isinstance(item, Technician)]


@handles("technician_arrival")
def _arrive(network: Network, order_id: str) -> None:
    order = network.get(WorkOrder, order_id)
    if order.state is not WorkState.EN_ROUTE:
        return
    network.update(order, state=WorkState.ON_SITE)
    network.update(network.get(Technician, order.technician_id), state=TechnicianState.ON_SITE)
    network.report("technician_arrived", order_id, order.visit_site_id)


def work_cost_eur(order: WorkOrder, until_s: int) -> float:
    """Return what a work order has cost up to a time: call-out, hours, parts used."""
    end = order.left_s if order.left_s is not None else until_s
    start = order.created_s if order.urgent else order.arrival_s
    hours = max(end - start, 0) / HOUR_S
    night = not 6 <= start % DAY_S / HOUR_S < 20
    parts = sum(catalogue().parts[part].price for part in order.used)
    return round(CALL_OUT_EUR + HOUR_EUR * hours * (NIGHT_FACTOR if night else 1.0) + parts, 2)


# --- on site --------------------------------------------------------------------------------------------


class Work(NamedTuple):
    """What an action has to go by."""

    network: Network
    order: WorkOrder
    target: str
    part: str
    value: str

    @property
    def record(self) -> Record | None:
        """The record of the target."""
        return self.network.objects.get(self.target)

    @property
    def power(self) -> PowerSystem:
        """The power system of the site."""
        return self.network.get(PowerSystem, f"PWR-{self.order.visit_site_id[1:]}")


Action = Callable[[Work], str | None]
"""Does the work; returns what was found, or None if there was nothing to do."""


def instruct(
    network: Network, order_id: str, action: str, target: str = "", part: str = "", value: str = ""
) -> Finding:
    """Have a technician on site do something; time passes while they do.

    Raises:
        ToolError: If nobody is on site, the target is not there, a part is not on the van, or antenna work is asked for
            while cells are on the air.
    """
    order = network.get(WorkOrder, order_id)
    _check(network, order, action, target, part)
    minutes = _minutes(network, order, action, part)
    if _at_antenna(action, target, part):
        order = network.update(order, antenna_work=True)
    network.advance(round(minutes * MINUTE_S))
    order = network.get(WorkOrder, order_id)
    work = Work(network, order, target or order.visit_site_id, part, value)
    found = _ACTIONS[action](work)
    text = found or "Nothing found that this would repair."
    order = network.get(WorkOrder, order_id)
    used = (*order.used, part) if action == "replace_part" and found else order.used
    network.update(
        order,
        findings=(*order.findings, Note(network.now, f"{action} {target}: {text}".strip())),
        actions=order.actions + 1,
        used=used,
        antenna_work=order.state is WorkState.ON_SITE and order.antenna_work,
    )
    return Finding(text, minutes, found is not None)


def _minutes(network: Network, order: WorkOrder, action: str, part: str) -> float:
    known = catalogue()
    base = known.parts[part].minutes if action == "replace_part" else known.actions[action]
    return round(base * (0.85 + 0.35 * uniform(network.seed, "work", order.id, order.actions)), 1)


def _check(network: Network, order: WorkOrder, action: str, target: str, part: str) -> None:
    if order.state is not WorkState.ON_SITE:
        raise ToolError(f"PRECONDITION_FAILED: nobody is on site for {order.id} (state {order.state})")
    if target and not _here(network, order, target):
        raise ToolError(f"PRECONDITION_FAILED: {target} is not at {order.visit_site_id}")
    if action == "replace_part":
        if not part:
            raise ToolError("INVALID_ARGUMENT: replace_part needs part_type")
        if part not in catalogue().parts:
            raise ToolError(f"NOT_FOUND: no part type {part!r}.{did_you_mean(part, catalogue().parts)}")
        if order.parts.count(part) <= order.used.count(part):
            raise ToolError(
                f"PRECONDITION_FAILED: no {part} on the van; on board: {', '.join(order.parts) or 'nothing'}"
            )
    if _at_antenna(action, target, part):
        _check_locked(network, order, target)


def _at_antenna(action: str, target: str, part: str) -> bool:
    """Return whether somebody has to climb for an action."""
    connector = action in _CONNECTOR_ACTIONS and target.startswith(("ANT-", "RET-"))
    return action in ANTENNA_ACTIONS or part in ANTENNA_PARTS or connector


def _here(network: Network, order: WorkOrder, target: str) -> bool:
    number = order.visit_site_id[1:]
    record = network.objects.get(target)
    if isinstance(record, TransportLink):
        return f"CSR-{number}" in (record.a_id, record.b_id)
    site = getattr(record, "site_id", None)
    return (
        site == order.visit_site_id
        or target == order.visit_site_id
        or f"-{number}" in target
        or target.startswith(f"S{number}-")
    )


def _check_locked(network: Network, order: WorkOrder, target: str) -> None:
    """Crews do not work at antennas that radiate."""
    record = network.objects.get(target)
    unit = getattr(record, "ru_id", None) or (f"RU-{target[4:]}" if target.startswith("RET-") else None)
    cells = [cell for cell in network.at_site(Cell, order.visit_site_id) if unit is None or cell.ru_id == unit]
    if isinstance(record, Cell):
        cells = [record]
    live = [cell.id for cell in cells if cell.administrative_state is not AdministrativeState.LOCKED]
    if live:
        raise ToolError(
            f"PRECONDITION_FAILED: the crew does not work at antennas on the air; not LOCKED: {', '.join(live)}"
        )


# --- actions --------------------------------------------------------------------------------------------


def _inspect(work: Work) -> str | None:
    network, site_id = work.network, work.order.visit_site_id
    site, cabinet = network.get(Site, site_id), network.get(Cabinet, f"CAB-{site_id[1:]}")
    seen = [f"breaker {breaker.id} is {breaker.state}" for breaker in work.power.breakers if breaker.state != "CLOSED"]
    seen += ["signs of a break-in, cabinet forced"] if site.intruded else []
    seen += ["cabinet door open"] if cabinet.door_open else []
    seen += ["smoke in the cabinet"] if cabinet.smoke else []
    seen += ["water in the cabinet"] if cabinet.flood else []
    seen += ["cooling does not run"] if cabinet.cooling_failed else []
    seen += ["surge protector blown"] if work.power.surge_arrester_failed else []
    seen += [f"jumper of {line.id} hangs loose" for line in _lines(work) if line.disconnected]
    seen += [f"{work.target}: unit dead, no indicator lit"] if getattr(work.record, "failed", False) else []
    if site.sensor_fault:
        network.update(site, sensor_fault=None)
        seen.append(f"{site.sensor_fault} sensor faulty, readjusted; nothing behind it")
    return "; ".join(seen) or "no damage visible, doors closed, indicators normal"


def _lines(work: Work) -> list[AntennaLine]:
    number = work.order.visit_site_id[1:]
    return [line for line in work.network.all(AntennaLine) if line.id.startswith(f"ANT-{number}-")]


def _measure_power(work: Work) -> str | None:
    power = work.power
    dead = [str(index) for index, module in enumerate(power.rectifiers, start=1) if module.failed]
    mains = "230 V" if power.mains_ok else "0 V"
    weak = [f"string {n} {100 * string.soh:.0f} %" for n, string in enumerate(power.strings, 1) if string.soh < 0.8]
    gone = [f"string {n} missing" for n, string in enumerate(power.strings, 1) if not string.present]
    parts = [f"mains before Q1 {mains}", f"dead rectifiers: {', '.join(dead) or 'none'}"]
    return "; ".join([*parts, *weak, *gone])


def _measure_optical(work: Work) -> str | None:
    link = _link(work)
    if link is None:
        return None
    near, far = (works.fronthaul_rx_dbm(work.network, link, end) for end in ("near", "far"))
    design = link.design_rx_dbm
    return f"{link.id}: received at baseband end {near:.1f} dBm, at radio end {far:.1f} dBm (design {design:.1f})"


def _link(work: Work) -> FronthaulLink | None:
    record = work.record
    if isinstance(record, FronthaulLink):
        return record
    found = work.network.objects.get(f"FH-{work.target[3:]}") if work.target.startswith("RU-") else None
    return found if isinstance(found, FronthaulLink) else None


def _restore_light(network: Network, link: FronthaulLink) -> None:
    network.update(link, extra_loss_db=0.0, extra_loss_at_m=0.0, cleanable=True, flapping=False, flap_down=False)


def _clean(work: Work) -> str | None:
    link, network = _link(work), work.network
    lucky = uniform(network.seed, "cleaning", work.target) < 0.6
    if link is not None and link.extra_loss_db > 0:
        if link.cleanable and lucky:
            _restore_light(network, link)
            return "connector was dirty; cleaned, level normal"
        return "cleaned; the level did not change"
    line = work.record
    if isinstance(line, AntennaLine) and line.vswr > 0 and not line.disconnected:
        if lucky:
            network.update(line, vswr=0.0, rain_sensitive=False, fault_at_m=0.0)
            return "water in the connector; dried and sealed"
        return "cleaned; the reflection did not change"
    return None


def _reseat(work: Work) -> str | None:
    line = work.record
    if isinstance(line, AntennaLine) and line.disconnected:
        work.network.update(line, disconnected=False, vswr=0.0, fault_at_m=0.0)
        return "jumper was off; connected and tightened"
    return None


def _tighten(work: Work) -> str | None:
    lines = [work.record] if isinstance(work.record, AntennaLine) else _lines(work)
    loose = [line for line in lines if isinstance(line, AntennaLine) and line.pim_dbm is not None]
    if isinstance(work.record, (RadioUnit, Cell)):
        unit = work.record.id if isinstance(work.record, RadioUnit) else work.record.ru_id
        loose = [line for line in loose if line.ru_id == unit]
    for line in loose:
        work.network.update(line, pim_dbm=None, pim_when_wet=False)
    return f"loose joints tightened: {', '.join(line.id for line in loose)}" if loose else None


def _align(work: Work) -> str | None:
    cells = [work.record] if isinstance(work.record, Cell) else work.network.at_site(Cell, work.order.visit_site_id)
    turned = [cell for cell in cells if isinstance(cell, Cell) and cell.true_azimuth_deg is not None]
    for cell in turned:
        work.network.update(cell, true_azimuth_deg=None)
    return f"antennas aligned: {', '.join(cell.id for cell in turned)}" if turned else None


def _align_microwave(work: Work) -> str | None:
    link = work.record
    if isinstance(link, TransportLink) and link.misaligned_deg:
        work.network.update(link, misaligned_deg=0.0)
        return "dish aligned, level as designed"
    return None


def _close_breaker(work: Work) -> str | None:
    names = [work.target] if "-F" in work.target or "-Q" in work.target or "-B1" in work.target else []
    chosen = [b for b in work.power.breakers if b.state is not BreakerState.CLOSED and (not names or b.id in names)]
    if not chosen:
        return None
    said = []
    for breaker in chosen:
        holds = not breaker.shorted and breaker.state is not BreakerState.DAMAGED
        work.network.set_breaker(breaker.id, state=BreakerState.CLOSED if holds else BreakerState.TRIPPED, recloses=0)
        said.append(f"{breaker.id} {'closed and holds' if holds else 'trips again at once'}")
    return "; ".join(said)


def _generator(work: Work) -> Generator | None:
    return work.power.generator


def _refuel(work: Work) -> str | None:
    generator = _generator(work)
    if generator is None or generator.fuel_pct > 95:
        return None
    work.network.update(work.power, generator=replace(generator, fuel_pct=100.0))
    return "tank filled"


def _start_generator(work: Work) -> str | None:
    generator = _generator(work)
    if generator is None or generator.state is GeneratorState.RUNNING:
        return None
    started = replace(generator, state=GeneratorState.STARTING, since_s=work.network.now, start_battery_v=12.6)
    work.network.update(work.power, generator=started)
    return "generator started with an external battery"


def _connect_generator(work: Work) -> str | None:
    power = work.power
    if power.generator is not None or not power.mobile_inlet or work.order.task != "mobile_generator":
        return None
    brought = Generator(GeneratorState.STARTING, 100.0, mobile=True, since_s=work.network.now)
    work.network.update(power, generator=brought)
    return "mobile generator connected, starting"


def _power_cycle(work: Work) -> str | None:
    record = work.record
    if isinstance(record, (Board, RadioUnit, Router)) and getattr(record, "hang", False):
        fields: dict[str, object] = {"hang": False}
        if isinstance(record, RadioUnit):
            fields["hang_needs_power_cycle"] = False
        work.network.update(record, **fields)
        return "came up normally after the power cycle"
    return None


def _secure(work: Work) -> str | None:
    network, site_id = work.network, work.order.visit_site_id
    site, cabinet = network.get(Site, site_id), network.get(Cabinet, f"CAB-{site_id[1:]}")
    if not site.intruded and not cabinet.door_open:
        return None
    network.update(site, intruded=False)
    network.update(cabinet, door_open=False)
    return "site secured, lock replaced"


def _walk_test(work: Work) -> str | None:
    out = [
        c.id for c in work.network.at_site(Cell, work.order.visit_site_id) if not works.in_service(work.network, c.id)
    ]
    shut = [c.id for c in work.network.at_site(Cell, work.order.visit_site_id) if c.access_hung or c.cell_barred]
    silent = sorted({*out, *shut})
    return f"no access in: {', '.join(silent)}" if silent else "access, data and voice normal around the site"


def _leave(work: Work) -> str | None:
    network, order = work.network, work.order
    depot = network.get(Depot, "DEPOT")
    stock = dict(depot.parts)
    left = list(order.parts)
    for part in order.used:
        left.remove(part)
    for part in left:
        stock[part] += 1
    network.update(depot, parts=tuple(stock.items()))
    network.update(order, state=WorkState.DONE, left_s=network.now, antenna_work=False)
    technician = network.get(Technician, order.technician_id)
    network.update(technician, state=TechnicianState.IDLE, work_order_id=None)
    return "work complete, technician left"


# --- parts ----------------------------------------------------------------------------------------------


def _replace(work: Work) -> str | None:
    handler = next((act for names, act in _PARTS if work.part in names or work.part.startswith(names)), None)
    return handler(work) if handler else None


def _optics(work: Work) -> str | None:
    link, network = _link(work), work.network
    if work.part == "SFP_10G" and isinstance(router := network.objects.get(work.target.rpartition("-")[0]), Router):
        port = next((port for port in router.ports if port.id == work.target), None)
        if port is not None and port.sfp_failed:
            network.set_port(port.id, sfp_failed=False)
            return f"module of {port.id} replaced, link up"
        return None
    wanted = f"SFP_{link.sfp_type.partition('-')[0]}" if link is not None else ""
    if link is None or work.part != wanted or not (link.near_sfp_failed or link.far_sfp_failed):
        return None
    network.update(link, near_sfp_failed=False, far_sfp_failed=False)
    return f"module of {link.id} replaced, light at both ends"


def _patch(work: Work) -> str | None:
    link = _link(work)
    if link is None or link.extra_loss_db <= 0:
        return None
    _restore_light(work.network, link)
    return f"patch cable of {link.id} replaced, level as designed"


def _radio(work: Work) -> str | None:
    unit = work.record
    if isinstance(unit, Cell):
        unit = work.network.get(RadioUnit, unit.ru_id)
    if not isinstance(unit, RadioUnit):
        return None
    if unit.part_type != work.part:
        return f"{work.part} does not fit {unit.id}, which needs {unit.part_type}"
    bad = unit.failed or unit.failed_branches or unit.hang or unit.muted
    work.network.update(
        unit,
        failed=False,
        failed_branches=(),
        soft_branches=(),
        hang=False,
        muted=False,
        hang_needs_power_cycle=False,
    )
    return f"{unit.id} replaced, unit up" if bad else f"{unit.id} replaced; the old one was in order"


def _board(work: Work) -> str | None:
    board = work.record
    if not isinstance(board, Board) or not (board.failed or board.hang):
        return None
    work.network.update(board, failed=False, hang=False)
    return f"{board.id} replaced, board up"


def _rectifier(work: Work) -> str | None:
    power = work.power
    bad = [index for index, module in enumerate(power.rectifiers) if module.failed]
    if not bad:
        return None
    modules = tuple(replace(m, failed=False) if i == bad[0] else m for i, m in enumerate(power.rectifiers))
    work.network.update(power, rectifiers=modules)
    return f"rectifier {bad[0] + 1} replaced" + (f", {len(bad) - 1} still dead" if len(bad) > 1 else "")


def _breaker(work: Work) -> str | None:
    bad = [b for b in work.power.breakers if b.shorted or b.state in (BreakerState.DAMAGED, BreakerState.TRIPPED)]
    for breaker in bad:
        work.network.set_breaker(breaker.id, state=BreakerState.CLOSED, shorted=False, recloses=0)
    return f"replaced and closed: {', '.join(breaker.id for breaker in bad)}" if bad else None


def _surge(work: Work) -> str | None:
    if not work.power.surge_arrester_failed:
        return None
    work.network.update(work.power, surge_arrester_failed=False)
    return "surge protector replaced"


def _batteries(work: Work) -> str | None:
    power, kind = work.power, work.part.partition("_")[2]
    fits = [index for index, string in enumerate(power.strings) if string.kind == kind]
    if not fits:
        return f"{work.part} does not fit, the site has {power.strings[0].kind}"
    worst = min(fits, key=lambda index: (power.strings[index].present, power.strings[index].soh))
    if power.strings[worst].present and power.strings[worst].soh >= 0.8:
        return None
    healed = tuple(
        replace(s, soh=1.0, present=True, tested_soh=None) if i == worst else s for i, s in enumerate(power.strings)
    )
    work.network.update(power, strings=healed, charge_fault=False)
    return f"battery string {worst + 1} replaced"


def _gnss(work: Work) -> str | None:
    clock = work.network.get(ClockUnit, f"CLK-{work.order.visit_site_id[1:]}")
    if clock.antenna == "ok":
        return None
    work.network.update(clock, antenna="ok")
    return "satellite antenna replaced, satellites in view"


def _kit(work: Work) -> str | None:
    line = work.record
    if not isinstance(line, AntennaLine) or not (line.vswr > 0 or line.disconnected or line.pim_dbm is not None):
        return None
    sound = {"disconnected": False, "pim_dbm": None, "pim_when_wet": False, "rain_sensitive": False}
    work.network.update(line, vswr=0.0, fault_at_m=0.0, **sound)
    return f"{work.part.partition('_')[0].lower()} of {line.id} replaced"


def _motor(work: Work) -> str | None:
    unit = work.record if isinstance(work.record, RetUnit) else work.network.objects.get(f"RET-{work.target[1:]}")
    if not isinstance(unit, RetUnit) or not (unit.jammed or unit.uncalibrated):
        return None
    work.network.update(unit, jammed=False, uncalibrated=False)
    return "tilt motor replaced and calibrated"


def _cooling(work: Work) -> str | None:
    cabinet = work.network.get(Cabinet, f"CAB-{work.order.visit_site_id[1:]}")
    wanted = "HVAC_UNIT" if cabinet.has_air_conditioner else "FAN_KIT"
    if not cabinet.cooling_failed:
        return None
    if work.part != wanted:
        return f"{work.part} does not fit, the cabinet needs {wanted}"
    work.network.update(cabinet, cooling_failed=False)
    return "cooling runs"


def _router(work: Work) -> str | None:
    router = work.record
    if not isinstance(router, Router) or not router.failed:
        return None
    work.network.update(router, failed=False, hang=False)
    return f"card of {router.id} replaced, router up"


_PARTS: tuple[tuple[tuple[str, ...], Action], ...] = (
    (("SFP_10G", "SFP_25G"), _optics),
    (("FIBRE_PATCH",), _patch),
    (("RU_", "AAU_"), _radio),
    (("BB_BOARD", "MAIN_BOARD"), _board),
    (("RECTIFIER",), _rectifier),
    (("MCB",), _breaker),
    (("SPD",), _surge),
    (("BATTERY_",), _batteries),
    (("GNSS_ANT",), _gnss),
    (("JUMPER_KIT", "FEEDER_KIT"), _kit),
    (("RET_MOTOR",), _motor),
    (("HVAC_UNIT", "FAN_KIT"), _cooling),
    (("ROUTER_CARD",), _router),
)
_ACTIONS: dict[str, Action] = {
    "inspect": _inspect,
    "measure_power": _measure_power,
    "measure_optical": _measure_optical,
    "clean_connector": _clean,
    "reseat_connector": _reseat,
    "replace_part": _replace,
    "tighten_antenna_line": _tighten,
    "swap_feeders": _align,
    "align_antenna": _align,
    "align_microwave": _align_microwave,
    "close_breaker": _close_breaker,
    "refuel_generator": _refuel,
    "start_generator": _start_generator,
    "connect_mobile_generator": _connect_generator,
    "power_cycle": _power_cycle,
    "secure_site": _secure,
    "walk_test": _walk_test,
    "complete_and_leave": _leave,
}
