"""Questions about antennas, fibres, clocks, microwave hops, and calculations about them."""

from __future__ import annotations

from collections.abc import Iterator

from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.engine import HOUR_S
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, integer, shuffled, uniform
from telegym.envs.base_station.objects import (
    AntennaLine,
    ClockState,
    ClockUnit,
    FronthaulLink,
    Node,
    RadioUnit,
    TransportLink,
)
from telegym.envs.base_station.physics import voice
from telegym.envs.base_station.physics.antenna_line import reflection, return_loss_db
from telegym.envs.base_station.physics.transport import MODULATIONS, fibre_delay_us
from telegym.envs.base_station.players.steps import Steps
from telegym.envs.base_station.questions.expected import Expected, parts, quantity, yes_no
from telegym.envs.base_station.questions.reading import Answer, Unanswerable, calculate, fields, look, table
from telegym.envs.base_station.questions.template import Slots, Template

__all__ = ["TEMPLATES"]

_LETTERS = "ABCDEFGH"


def _units(network: Network, seed: int, *, lines: bool) -> Iterator[RadioUnit]:
    """Yield radio units in random order: those with antenna lines, or those without."""
    for unit in shuffled(list(network.all(RadioUnit)), seed, "radio unit"):
        if bool(network.index.lines_of.get(unit.id)) == lines:
            yield unit


# --- Q12 return loss --------------------------------------------------------------------------------------


def _branch_slots(unit: RadioUnit, seed: int) -> Slots:
    return {"ru": unit.id, "branch": choice(_LETTERS[: unit.branches], seed, "branch", unit.id)}


def _branches(network: Network, seed: int) -> Iterator[Slots]:
    yield from (_branch_slots(unit, seed) for unit in _units(network, seed, lines=True))


def _branchless(network: Network, seed: int) -> Iterator[Slots]:
    yield from (_branch_slots(unit, seed) for unit in _units(network, seed, lines=False))


def _return_loss(network: Network, slots: Slots) -> Expected | None:
    line = network.get(AntennaLine, f"ANT-{slots['ru'][3:]}-{slots['branch']}")
    return quantity(return_loss_db(line.healthy_vswr), "dB", absolute=0.1) if line.healthy_vswr > 1.02 else None


def _find_return_loss(slots: Slots) -> Steps[Answer]:
    listed = yield from look("list_elements", element_type="antenna", parent_id=slots["ru"])
    wanted = [row["element_id"] for row in table(listed, "element_id") if row["info"] == f"branch {slots['branch']}"]
    if not wanted:
        raise Unanswerable(f"{slots['ru']} has no such branch")
    about = fields((yield from look("get_element_info", element_id=wanted[0])))
    found = yield from calculate("vswr_to_return_loss", vswr=float(about["commissioned_vswr"]))
    return Answer(found["return_loss_db"], "dB")


# --- Q13 reflected power ----------------------------------------------------------------------------------


def _power_subjects(network: Network, seed: int) -> Iterator[Slots]:
    for unit in _units(network, seed, lines=True):
        if works.oam_reachable(network, unit.node_id) and works.fronthaul_synced(network, unit.id):
            level = choice(("major", "critical"), seed, "severity", unit.id)
            yield {"ru": unit.id, "power_w": 5 * integer(2, 16, seed, "power", unit.id), "severity": level}


def _reflected(network: Network, slots: Slots) -> Expected | None:
    node = network.get(Node, network.get(RadioUnit, slots["ru"]).node_id)
    ratio = works.DIALECT_VSWR[node.dialect][slots["severity"] == "critical"]
    return quantity(slots["power_w"] * reflection(ratio) ** 2, "W", absolute=0.2)


def _find_reflected(slots: Slots) -> Steps[Answer]:
    status = fields((yield from look("get_antenna_status", ru_id=slots["ru"])))
    ratio = float(status[f"vswr_{slots['severity']}"])
    found = yield from calculate("vswr_to_return_loss", vswr=ratio, forward_power_w=slots["power_w"])
    return Answer(found["reflected_power_w"], "W")


# --- Q14 fibre delay --------------------------------------------------------------------------------------


def _delay_subjects(network: Network, seed: int) -> Iterator[Slots]:
    for unit in shuffled(list(network.all(RadioUnit)), seed, "radio unit"):
        if not works.oam_reachable(network, unit.node_id):
            continue
        delay = fibre_delay_us(network.get(FronthaulLink, network.index.fronthaul_of[unit.id]).length_km)
        low, high = ((0.4, 0.9), (1.1, 1.8))[uniform(seed, "holds", unit.id) < 0.5]
        factor = low + (high - low) * uniform(seed, "budget", unit.id)
        yield {"ru": unit.id, "budget_us": round(delay * factor, 2)}


def _delay(network: Network, slots: Slots) -> Expected | None:
    delay = fibre_delay_us(network.get(FronthaulLink, network.index.fronthaul_of[slots["ru"]]).length_km)
    if abs(delay - slots["budget_us"]) < 0.02:
        return None
    return parts(quantity(delay, "us", absolute=0.06, relative=0.01), yes_no(delay <= slots["budget_us"]))


def _find_delay(slots: Slots) -> Steps[Answer]:
    status = fields((yield from look("get_fronthaul_status", ru_id=slots["ru"])))
    found = yield from calculate("fibre_delay", length_km=float(status["length_km"]), budget_us=slots["budget_us"])
    return Answer(f"{found['one_way_delay_us']}, {'yes' if found['within_budget'] == 'true' else 'no'}")


# --- Q16 blocking -----------------------------------------------------------------------------------------


def _trunk_subjects(network: Network, seed: int) -> Iterator[Slots]:
    for attempt in range(20):
        circuits = integer(8, 60, seed, "circuits", attempt)
        share = 0.5 + 0.45 * uniform(seed, "traffic", attempt)
        yield {"erlang": round(circuits * share, 1), "circuits": circuits}


def _blocking(network: Network, slots: Slots) -> Expected | None:
    blocked = voice.erlang_b(slots["erlang"], slots["circuits"])
    return quantity(blocked, "share", absolute=1e-4) if blocked > 0.002 else None


def _find_blocking(slots: Slots) -> Steps[Answer]:
    found = yield from calculate("erlang_b", traffic_erlang=slots["erlang"], circuits=slots["circuits"])
    return Answer(found["blocking_probability"])


# --- Q25 holdover -----------------------------------------------------------------------------------------


def _clocks(network: Network, seed: int) -> Iterator[tuple[ClockUnit, Node]]:
    """Yield clocks with a node of their site that answers."""
    for clock in shuffled(list(network.all(ClockUnit)), seed, "clock"):
        nodes = [node for node in network.at_site(Node, clock.site_id) if works.oam_reachable(network, node.id)]
        yield from ((clock, node) for node in nodes[:1])


def _drifting(network: Network, seed: int) -> Iterator[Slots]:
    network.settle()
    yield from ({"node": node.id} for clock, node in _clocks(network, seed) if clock.state is ClockState.HOLDOVER)


def _steady(network: Network, seed: int) -> Iterator[Slots]:
    network.settle()
    yield from ({"node": node.id} for clock, node in _clocks(network, seed) if clock.state is ClockState.LOCKED)


def _holdover(network: Network, slots: Slots) -> Expected | None:
    clock = network.get(ClockUnit, f"CLK-{network.get(Node, slots['node']).site_id[1:]}")
    if clock.state is not ClockState.HOLDOVER:
        return None
    left = clock.holdover_limit_h - (network.now - clock.lost_s) / HOUR_S
    return quantity(left, "h", absolute=0.2) if left > 0.5 else None


def _find_holdover(slots: Slots) -> Steps[Answer]:
    status = fields((yield from look("get_clock_status", node_id=slots["node"])))
    if status["state"] != "HOLDOVER":
        raise Unanswerable(f"the clock is {status['state']}")
    left = float(status["holdover_limit_h"]) - float(status["holdover_elapsed_h"])
    return Answer(f"{left:.2f}", "h")


# --- Q26 fade margin --------------------------------------------------------------------------------------

SCATTER_DB = 0.3
"""What readings of a received level add to the tolerance: their scatter is 0.2 dB."""


def _hops(network: Network, seed: int) -> Iterator[Slots]:
    links = shuffled(list(network.all(TransportLink)), seed, "hop")
    yield from ({"link": link.id} for link in links if link.design_rsl_dbm is not None)


def _fibres(network: Network, seed: int) -> Iterator[Slots]:
    links = shuffled(list(network.all(TransportLink)), seed, "hop")
    yield from ({"link": link.id} for link in links if link.design_rsl_dbm is None)


def _margin(network: Network, slots: Slots) -> Expected | None:
    level = works.link_level_dbm(network.get(TransportLink, slots["link"]))
    if level is None:
        return None
    return quantity(level - MODULATIONS[-1].threshold_dbm, "dB", absolute=0.5 + SCATTER_DB)


def _find_margin(slots: Slots) -> Steps[Answer]:
    status = fields((yield from look("get_transport_status", element_id=slots["link"])))
    if "rsl_dbm" not in status:
        raise Unanswerable(f"{slots['link']} is no microwave hop")
    return Answer(f"{float(status['rsl_dbm']) - float(status['lowest_rsl_dbm']):.1f}", "dB")


TEMPLATES = (
    Template(
        "Q12",
        1,
        _branches,
        _return_loss,
        _find_return_loss,
        needs="radio units with antenna lines",
        unknown="ru",
        lacking=_branchless,
    ),
    Template(
        "Q13", 1, _power_subjects, _reflected, _find_reflected, needs="radio units with antenna lines", unknown="ru"
    ),
    Template("Q14", 1, _delay_subjects, _delay, _find_delay, unknown="ru"),
    Template("Q16", 0, _trunk_subjects, _blocking, _find_blocking),
    Template(
        "Q25",
        1,
        _drifting,
        _holdover,
        _find_holdover,
        needs="a clock in holdover at a node that answers",
        special=True,
        horizon_min=10,
        unknown="node",
        lacking=_steady,
    ),
    Template(
        "Q26",
        0,
        _hops,
        _margin,
        _find_margin,
        needs="microwave hops (S1, R1, M1)",
        unknown="link",
        lacking=_fibres,
    ),
)
