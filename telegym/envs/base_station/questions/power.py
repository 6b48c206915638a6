"""Questions about batteries and energy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station import kpi, power_model
from telegym.envs.base_station.engine import DAY_S, MINUTE_S, time_text
from telegym.envs.base_station.kpi import BIN_S
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, shuffled, uniform
from telegym.envs.base_station.objects import Cell, PowerSystem, Site
from telegym.envs.base_station.players.steps import Steps
from telegym.envs.base_station.process.records import Notice
from telegym.envs.base_station.questions.expected import Expected, parts, quantity, yes_no
from telegym.envs.base_station.questions.reading import Answer, Unanswerable, fields, look, series, table
from telegym.envs.base_station.questions.template import Slots, Template

__all__ = ["TEMPLATES", "clock_text", "minutes_between", "sites", "summed"]


def clock_text(time_s: int) -> str:
    """Return a time as tools print it, to the minute: `03-04T11:52`."""
    return time_text(time_s)[:-3]


def minutes_between(start: str, end: str) -> int:
    """Return the minutes between two printed times that are less than a month apart."""
    (day, clock), (last, later) = (text[3:].split("T") for text in (start, end))
    days = int(last) - int(day)
    if start[:2] != end[:2]:
        length = {"02": 28, "04": 30, "06": 30, "09": 30, "11": 30}.get(start[:2], 31)
        days += length
    hours = [int(text[:2]) * 60 + int(text[3:5]) for text in (clock, later)]
    return days * 1440 + hours[1] - hours[0]


def sites(network: Network, seed: int) -> list[Site]:
    """Return the sites in random order."""
    return shuffled(list(network.all(Site)), seed, "site")


def summed(network: Network, cells: list[Cell], name: str, first: int, length: int) -> tuple[float, float]:
    """Return the mean over some periods of an indicator summed over cells, and what is normal."""
    found, usual = np.zeros(length), np.zeros(length)
    for cell in cells:
        values, normal = kpi.bins_and_expected(network.region, network.epochs, cell.id, (name,), first, length)
        found += np.nan_to_num(values[0])
        usual += np.nan_to_num(normal[0])
    return float(found.mean()), float(usual.mean())


def _power(network: Network, site_id: str) -> PowerSystem:
    return network.get(PowerSystem, f"PWR-{site_id[1:]}")


# --- Q03 autonomy -----------------------------------------------------------------------------------------


def _autonomous(network: Network, seed: int) -> Iterator[Slots]:
    """Yield sites whose controller answers, those that run on their battery first."""
    found = [site for site in sites(network, seed) if works.power_controller_reachable(network, site.id)]
    found.sort(key=lambda site: power_model.mains_live(_power(network, site.id)))
    yield from ({"site": site.id} for site in found)


def _autonomy(network: Network, slots: Slots) -> Expected | None:
    if not works.power_controller_reachable(network, slots["site"]):
        return None
    network.settle()
    minutes = power_model.autonomy_min(network, _power(network, slots["site"]))
    return quantity(minutes, "min", absolute=10.0, relative=0.05) if minutes > 40 else None


def _find_autonomy(slots: Slots) -> Steps[Answer]:
    status = fields((yield from look("get_power_status", site_id=slots["site"])))
    return Answer(status["autonomy_min"], "min")


# --- Q04 until the mains are back -------------------------------------------------------------------------

CLEAR_SHARE = 0.12
"""How far autonomy and outage must differ, as a share of the outage."""


def _notice(network: Network, site_id: str) -> Notice | None:
    """Return the outage that the utility has announced for a site."""
    for item in network.all(Notice):
        known = item.published_s <= network.now < item.end_s
        if item.kind == "utility_outage" and site_id in item.scope and known:
            return item
    return None


def _outage_subjects(network: Network, seed: int) -> Iterator[Slots]:
    """Yield sites with a time to bridge that is as often too long as not, as far as the outage allows."""
    network.settle()
    leftover = []
    for site in sites(network, seed):
        notice, power = _notice(network, site.id), _power(network, site.id)
        if notice is None or power.dark or power_model.supplied(power):
            continue
        rest = (notice.end_s - network.now) / MINUTE_S
        left = power_model.autonomy_min(network, power)
        survives = uniform(seed, "survives") < 0.5
        low, high = (0.35, 0.85) if survives else (1.15, 1.65)
        factor = low + (high - low) * uniform(seed, "need", site.id)
        extra = max(5 * round((left * factor - rest) / 5), 0)
        slots = {"site": site.id, "extra_min": extra, "now": clock_text(network.now)}
        if survives == (rest + extra <= left):
            yield slots
        else:
            leftover.append(slots)
    yield from leftover


def _no_outage(network: Network, seed: int) -> Iterator[Slots]:
    outages = [item for item in network.all(Notice) if item.kind == "utility_outage"]
    for site in sites(network, seed):
        if not any(site.id in item.scope for item in outages) and works.power_controller_reachable(network, site.id):
            extra = 15 * round(2 + 6 * uniform(seed, "need", site.id))
            yield {"site": site.id, "extra_min": extra, "now": clock_text(network.now)}


def _survives(network: Network, slots: Slots) -> Expected | None:
    network.settle()
    notice, power = _notice(network, slots["site"]), _power(network, slots["site"])
    if notice is None or not works.power_controller_reachable(network, slots["site"]) or power_model.supplied(power):
        return None
    need = minutes_between(slots["now"], clock_text(notice.end_s)) + slots["extra_min"]
    left = power_model.autonomy_min(network, power)
    return yes_no(left >= need) if abs(left - need) >= max(CLEAR_SHARE * need, 15) else None


def _find_survives(slots: Slots) -> Steps[Answer]:
    status = fields((yield from look("get_power_status", site_id=slots["site"])))
    told = yield from look("get_external_notices", scope_id=slots["site"])
    outages = [row for row in table(told, "kind") if row["kind"] == "utility_outage"]
    if not outages:
        raise Unanswerable("no outage is announced")
    need = minutes_between(slots["now"], outages[-1]["expected_end"]) + slots["extra_min"]
    return Answer("yes" if float(status["autonomy_min"]) >= need else "no")


# --- Q30 energy -------------------------------------------------------------------------------------------


def _energy_subjects(network: Network, seed: int) -> Iterator[Slots]:
    midnight = network.now // DAY_S * DAY_S
    for site in sites(network, seed):
        layers = sorted({cell.layer for cell in network.at_site(Cell, site.id)})
        layer = choice(layers, seed, "layer", site.id)
        yield {"site": site.id, "layer": layer, "day": time_text(midnight - DAY_S)[:5]}


def _day_start(network: Network, day: str) -> int:
    """Return the first period of one of the last days, by its printed date."""
    midnight = network.now // DAY_S * DAY_S
    back = next(back for back in range(8) if time_text(midnight - back * DAY_S)[:5] == day)
    return (midnight - back * DAY_S) // BIN_S


def _energy(network: Network, slots: Slots) -> Expected | None:
    network.settle()
    first = _day_start(network, slots["day"])
    cells = network.at_site(Cell, slots["site"])
    total, _ = summed(network, cells, "power_kw", first, 96)
    of_layer, _ = summed(network, [cell for cell in cells if cell.layer == slots["layer"]], "power_kw", first, 96)
    if total <= 0.1:
        return None
    return parts(
        quantity(24 * total, "kWh", relative=0.05), quantity(100 * of_layer / total, "%", absolute=1.5, relative=0.05)
    )


def _daily_kw(element: str, day: str) -> Steps[float]:
    text = yield from look("get_kpi", element_id=element, kpis=["power_kw"], hours=72, granularity="day")
    values, _ = series(text, "power_kw")
    return values[f"{day}T00:00"]


def _find_energy(slots: Slots) -> Steps[Answer]:
    total = yield from _daily_kw(slots["site"], slots["day"])
    listed = yield from look("list_elements", element_type="cell", parent_id=slots["site"])
    of_layer = 0.0
    for row in table(listed, "element_id"):
        if f"-{slots['layer']}-" in row["element_id"]:
            of_layer += yield from _daily_kw(row["element_id"], slots["day"])
    return Answer(f"{24 * total:.1f} kWh, {100 * of_layer / total:.1f} %")


TEMPLATES = (
    Template("Q03", 0, _autonomous, _autonomy, _find_autonomy, horizon_min=10, unknown="site"),
    Template(
        "Q04",
        1,
        _outage_subjects,
        _survives,
        _find_survives,
        needs="a site on battery and a utility's notice about it",
        special=True,
        lacking=_no_outage,
    ),
    Template("Q30", 2, _energy_subjects, _energy, _find_energy, unknown="site"),
)
