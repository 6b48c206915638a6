"""Faults over time: what comes and goes, grows, follows the clock, or has not happened yet.

A defect stays present while it is quiet: `fault(code).cleared` says so until it is repaired, and nothing brings it back
afterwards. A defect of the form `delayed` threatens: it is cleared as soon as what it threatens cannot come any more.

    inject_as(network, "certificate_expired", "ENB-003", "delayed", seed=1)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from telegym.core.errors import ConfigurationError
from telegym.envs.base_station import clock_model, power_model, thermal_model
from telegym.envs.base_station import dependencies as works
from telegym.envs.base_station.conditions import NOTICE_S
from telegym.envs.base_station.engine import DAY_S, HOUR_S, MINUTE_S, Scalar, handles
from telegym.envs.base_station.faults._renewal import begin_showers, change_s, end_showers
from telegym.envs.base_station.faults.antenna import INTERMODULATION, MISMATCH, vswr_thresholds
from telegym.envs.base_station.faults.capacity import CROWD
from telegym.envs.base_station.faults.clock import SATELLITES
from telegym.envs.base_station.faults.fronthaul import DIRTY_FIBRE
from telegym.envs.base_station.faults.interference import INTERFERER, emitter_id
from telegym.envs.base_station.faults.power import BREAKER, COOLING, MAINS, RECTIFIERS, WEAK_BATTERY, feeder
from telegym.envs.base_station.faults.registry import Defect, Fault, Form, Parameters, forms, register_form
from telegym.envs.base_station.faults.software import CERTIFICATE, LICENCE
from telegym.envs.base_station.faults.transport import CONGESTION
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, integer, uniform
from telegym.envs.base_station.objects import (
    AntennaLine,
    Cabinet,
    Cell,
    ClockSource,
    ClockState,
    ClockUnit,
    Emitter,
    FronthaulLink,
    LicenceFeature,
    Node,
    PowerSystem,
    TransportLink,
)
from telegym.envs.base_station.physics.thermal import SHUTDOWN_C
from telegym.envs.base_station.process.records import Notice

__all__ = ["Form", "fault_as", "first_outage_s", "forms_of", "inject_as"]

GROWTH_STEP_S = 30 * MINUTE_S
"""How often a growing defect becomes worse."""
SLOWLY_C = 1.5
"""By how much a cabinet that overheats slowly would pass the temperature at which baseband units switch off."""
FIRST_SHARE = 0.15
"""Share of its final extent that a growing defect begins with."""


# --- asking ---------------------------------------------------------------------------------------------


def forms_of(code: str) -> tuple[Form, ...]:
    """Return the forms that a fault can have, first the one it has when nobody asks for another.

    Raises:
        ConfigurationError: If there is no such fault.
    """
    return tuple(forms(code))


def fault_as(code: str, form: Form) -> Fault:
    """Return a fault in one of its forms; where it can happen may be narrower than for the fault itself.

    Raises:
        ConfigurationError: If there is no such fault, or it does not have this form.
    """
    known = forms(code)
    if form not in known:
        raise ConfigurationError(f"{code} is never {form}; its forms: {', '.join(known)}")
    return known[form]


def inject_as(network: Network, code: str, element_id: str, form: Form, seed: int = 0) -> Defect:
    """Bring a fault about in one of its forms.

    Args:
        network: The network.
        code: The cause.
        element_id: Where; one of `fault_as(code, form).eligible(network)`.
        form: How it goes on over time.
        seed: Decides its details.

    Raises:
        ConfigurationError: If there is no such fault, it does not have this form, or cannot happen there.
    """
    return fault_as(code, form).inject(network, element_id, seed=seed)


def first_outage_s(network: Network, within_s: int = DAY_S, site_id: str | None = None) -> int | None:
    """Return when the first cell that is in service now will be out, if nobody does anything; None if none will be.

    Args:
        network: The network; it does not change.
        within_s: How far to look ahead.
        site_id: Look for the moment at which the last cell of this site is out instead.
    """
    ahead = network.fork()
    cells = ahead.all(Cell) if site_id is None else ahead.at_site(Cell, site_id)
    served = [cell.id for cell in cells if works.in_service(ahead, cell.id)]
    few = 0 if site_id is not None else len(served) - 1
    end = ahead.now + within_s
    while (following := ahead.next_event_s()) is not None and following <= end:
        ahead.advance(following - ahead.now)
        if sum(works.in_service(ahead, name) for name in served) <= few:
            return ahead.now
    return None


def _narrowed(base: Fault, test: Callable[[Network, str], bool]) -> Callable[[Network], list[str]]:
    return lambda network: [name for name in base.eligible(network) if test(network, name)]


def _site(network: Network, element: str) -> str:
    return network.index.site_of[element]


# --- intermittent: in showers ---------------------------------------------------------------------------


def _draw_wet_connector(network: Network, element: str, seed: int) -> Parameters:
    """Draw a ratio that only rain brings above the threshold: water raises it by a quarter."""
    major, _ = vswr_thresholds(network, element)
    wet = major + 0.05 + (0.25 * major - 0.1) * uniform(seed, "wet ratio", element)
    return {"vswr": round(wet / 1.25, 2), "at_m": round(0.8 + 2.4 * uniform(seed, "place", element), 1)}


def _in_showers(base: Fault, apply: Callable[[Network, str, Parameters], None]) -> tuple[Callable[..., None], ...]:
    def begin(network: Network, element: str, details: Parameters) -> None:
        apply(network, element, details)
        begin_showers(network, _site(network, element))

    def repair(network: Network, element: str, details: Parameters) -> None:
        base.repair(network, element, details)
        end_showers(network, _site(network, element))

    return begin, repair


def _rust(network: Network, element: str, details: Parameters) -> None:
    network.update(network.get(AntennaLine, element), pim_dbm=float(details["level_dbm"]), pim_when_wet=True)


def _scrub(network: Network, element: str, details: Parameters) -> None:
    network.update(network.get(AntennaLine, element), pim_dbm=None, pim_when_wet=False)


_begin, _repair = _in_showers(MISMATCH, MISMATCH.apply)
register_form(
    replace(MISMATCH, form="intermittent", lead_min=90, sample=_draw_wet_connector, apply=_begin, repair=_repair)
)
_begin, _repair = _in_showers(replace(INTERMODULATION, repair=_scrub), _rust)
register_form(replace(INTERMODULATION, form="intermittent", lead_min=90, apply=_begin, repair=_repair))


# --- intermittent: by itself ----------------------------------------------------------------------------


def _switch_on(network: Network, element: str, details: Parameters) -> None:
    INTERFERER.apply(network, element, details)
    network.schedule(change_s(network, "emitter", element, on=True), "emitter.switches", element)


@handles("emitter.switches")
def _switch(network: Network, element: str) -> None:
    """A transmitter is switched on or off, until it is taken away."""
    emitter = network.objects.get(emitter_id(element))
    if isinstance(emitter, Emitter):
        emitter = network.update(emitter, silent=not emitter.silent)
        network.schedule(change_s(network, "emitter", element, on=not emitter.silent), "emitter.switches", element)


def _take_away(network: Network, element: str, details: Parameters) -> None:
    INTERFERER.repair(network, element, details)
    network.cancel("emitter.switches", element)


register_form(replace(INTERFERER, form="intermittent", lead_min=90, apply=_switch_on, repair=_take_away))


# --- permanent, where coming and going is the rule ------------------------------------------------------


def _draw_weak_light(network: Network, element: str, seed: int) -> Parameters:
    """Draw a loss with which the link just holds: between 0.4 and 1.8 dB above its limit."""
    link = network.get(FronthaulLink, element)
    margin = link.design_rx_dbm - link.loss_limit_dbm
    drawn = dict(DIRTY_FIBRE.sample(network, element, seed))
    return drawn | {"loss_db": round(margin - 0.4 - 1.4 * uniform(seed, "left", element), 1)}


def _weaken(network: Network, element: str, details: Parameters) -> None:
    network.update(
        network.get(FronthaulLink, element),
        extra_loss_db=float(details["loss_db"]),
        extra_loss_at_m=float(details["at_m"]),
        cleanable=bool(details["cleanable"]),
    )


register_form(replace(DIRTY_FIBRE, form="permanent", sample=_draw_weak_light, apply=_weaken))


# --- scheduled ------------------------------------------------------------------------------------------


def _shortfalls(network: Network, element: str) -> list[int]:
    """Return how many modules may fail so that the others carry the nights and not the evenings."""
    power = network.get(PowerSystem, element)
    day = network.now // DAY_S * DAY_S
    loads = [power_model.load_w(network, power.site_id, day + hour * HOUR_S) for hour in range(24)]
    each = power_model.RECTIFIER_EFFICIENCY * power.rectifiers[0].power_w
    count = len(power.rectifiers)
    return [failed for failed in range(1, count) if min(loads) < (count - failed) * each < 0.97 * max(loads)]


register_form(
    replace(
        RECTIFIERS,
        form="scheduled",
        eligible=_narrowed(RECTIFIERS, lambda network, element: bool(_shortfalls(network, element))),
        sample=lambda network, element, seed: {"count": _shortfalls(network, element)[0]},
    )
)


def _draw_festival(network: Network, element: str, seed: int) -> Parameters:
    drawn = dict(CROWD.sample(network, element, seed))
    return drawn | {"days": integer(2, 3, seed, "days", element)}


def _festival(network: Network, element: str, details: Parameters) -> None:
    """Gather a crowd now, and at the same time on the following days."""
    CROWD.apply(network, element, details)
    last = network.now + (int(details["days"]) - 1) * DAY_S + int(details["minutes"]) * MINUTE_S
    notice = network.get(Notice, f"EVENT-{element}")
    network.update(notice, end_s=last, text=f"{notice.text} Daily until the end.")
    for day in range(1, int(details["days"])):
        payload = (element, float(details["factor"]), int(details["minutes"]), day)
        network.schedule(network.now + day * DAY_S, "event_resumes", *payload)


@handles("event_resumes")
def _resume(network: Network, element: str, factor: float, minutes: int, _: int) -> None:
    for cell in network.at_site(Cell, element):
        network.update(cell, demand_factor=factor)
    network.schedule(network.now + minutes * MINUTE_S, "event_ends", element)


def _goes_on(network: Network, element: str, details: Parameters) -> bool:
    """Return whether there is a crowd, or will be again."""
    waiting = any(event.payload[0] == element for event in network.agenda.pending("event_resumes"))
    return waiting or CROWD.present(network, element, details)


def _end_festival(network: Network, element: str, details: Parameters) -> None:
    _forget(network, "event_resumes", (element,))
    network.cancel("event_ends", element)
    CROWD.repair(network, element, details)


def _forget(network: Network, kind: str, beginning: Sequence[Scalar]) -> None:
    """Cancel the events of a kind whose payload begins with some values."""
    for event in network.agenda.pending(kind):
        if event.payload[: len(beginning)] == tuple(beginning):
            network.cancel(kind, *event.payload)


register_form(
    replace(
        CROWD,
        form="scheduled",
        sample=_draw_festival,
        apply=_festival,
        present=_goes_on,
        repair=_end_festival,
    )
)


# --- growing --------------------------------------------------------------------------------------------


def _wetter(network: Network, element: str, share: float, final: float) -> None:
    line = network.get(AntennaLine, element)
    ratio = round(line.healthy_vswr + share * (final - line.healthy_vswr), 3)
    network.update(line, vswr=ratio, rain_sensitive=True)


def _older(network: Network, element: str, share: float, final: float) -> None:
    power = network.get(PowerSystem, element)
    health = round(final**share, 4)
    network.update(power, strings=tuple(replace(string, soh=health) for string in power.strings))


def _busier(network: Network, element: str, share: float, final: float) -> None:
    network.update(network.get(TransportLink, element), growth=round(1.0 + share * (final - 1.0), 4))


_GROWTH: dict[str, tuple[Fault, str, Callable[[Network, str, float, float], None]]] = {
    MISMATCH.code: (MISMATCH, "vswr", _wetter),
    WEAK_BATTERY.code: (WEAK_BATTERY, "soh", _older),
    CONGESTION.code: (CONGESTION, "growth", _busier),
}
"""The faults that grow, what their extent is called in their details, and how they become worse."""


@handles("fault.grows")
def _grow(network: Network, code: str, element: str, begun_s: int, grown_s: int, final: float) -> None:
    """A defect becomes worse, until it is repaired or has reached its extent."""
    made, name, worsen = _GROWTH[code]
    if not made.present(network, element, {**_anything(code), name: final}):
        return
    share = min((network.now - begun_s) / (grown_s - begun_s), 1.0)
    worsen(network, element, FIRST_SHARE + (1.0 - FIRST_SHARE) * share, final)
    if network.now < grown_s:
        following = min(network.now + GROWTH_STEP_S, grown_s)
        network.schedule(following, "fault.grows", code, element, begun_s, grown_s, final)


def _anything(code: str) -> Parameters:
    """Return details beside the extent: only their names matter for whether a defect is present."""
    return {"at_m": 0.0} if code == MISMATCH.code else {}


def _growing(base: Fault, hours: tuple[int, int]) -> None:
    def draw(network: Network, element: str, seed: int) -> Parameters:
        return dict(base.sample(network, element, seed)) | {"hours": integer(*hours, seed, "growth", element)}

    def begin(network: Network, element: str, details: Parameters) -> None:
        _, name, worsen = _GROWTH[base.code]
        final, end = float(details[name]), network.now + int(details["hours"]) * HOUR_S
        base.apply(network, element, details)
        worsen(network, element, FIRST_SHARE, final)
        network.schedule(network.now + GROWTH_STEP_S, "fault.grows", base.code, element, network.now, end, final)

    def repair(network: Network, element: str, details: Parameters) -> None:
        base.repair(network, element, details)
        _forget(network, "fault.grows", (base.code, element))

    made = replace(base, form="growing", lead_min=60 * hours[0] // 2)
    register_form(replace(made, sample=draw, apply=begin, repair=repair))


_growing(MISMATCH, (8, 20))
_growing(WEAK_BATTERY, (24, 72))
_growing(CONGESTION, (12, 36))


# --- delayed: certificates and licences -----------------------------------------------------------------


def _draw_remaining(element: str, seed: int) -> int:
    """Return minutes from now until something ends: 3 to 10 hours."""
    return integer(180, 600, seed, "remaining", element)


def _ending_certificate(network: Network, element: str, details: Parameters) -> None:
    node, end = network.get(Node, element), network.now + int(details["minutes"]) * MINUTE_S
    network.update(
        node, certificates=tuple(replace(item, expires_s=end, auto_renew=False) for item in node.certificates)
    )


def _certificate_ends(network: Network, element: str, details: Parameters) -> bool:
    soon = network.now + NOTICE_S
    node = network.get(Node, element)
    return any(not item.auto_renew and item.expires_s <= soon for item in node.certificates)


register_form(
    replace(
        CERTIFICATE,
        form="delayed",
        sample=lambda network, element, seed: {"minutes": _draw_remaining(element, seed)},
        apply=_ending_certificate,
        present=_certificate_ends,
    )
)


def _draw_licence(network: Network, element: str, seed: int) -> Parameters:
    features = (LicenceFeature.MIMO_4X4, LicenceFeature.CARRIER)
    return {"minutes": _draw_remaining(element, seed), "feature": str(choice(features, seed, "feature", element))}


def _ending_licence(network: Network, element: str, details: Parameters) -> None:
    node, end = network.get(Node, element), network.now + int(details["minutes"]) * MINUTE_S
    ending = (replace(item, expires_s=end) if item.feature == details["feature"] else item for item in node.licences)
    network.update(node, licences=tuple(ending))


def _licence_ends(network: Network, element: str, details: Parameters) -> bool:
    """Return whether no licence of the feature lasts longer than the notice that is given."""
    licences = network.get(Node, element).licences
    lasting = [item for item in licences if item.expires_s > network.now + NOTICE_S]
    return not any(item.feature == details["feature"] for item in lasting)


register_form(
    replace(
        LICENCE,
        form="delayed",
        sample=_draw_licence,
        apply=_ending_licence,
        present=_licence_ends,
    )
)


# --- delayed: clocks, batteries, heat -------------------------------------------------------------------


def _in_time_division(network: Network, clock_id: str) -> bool:
    clock = network.get(ClockUnit, clock_id)
    tdd = any(cell.tdd for cell in network.at_site(Cell, clock.site_id))
    return tdd and ClockSource.PTP in clock.provisioned


def _drifting(network: Network, element: str, details: Parameters) -> bool:
    """Return whether a clock has lost its satellites and follows nothing else."""
    clock = network.get(ClockUnit, element)
    elsewhere = clock.state is ClockState.LOCKED and clock.source is not ClockSource.GNSS
    return SATELLITES.present(network, element, details) and not (
        elsewhere and clock_model.available(network, clock, clock.source)
    )


register_form(
    replace(
        SATELLITES,
        form="delayed",
        eligible=_narrowed(SATELLITES, _in_time_division),
        present=_drifting,
    )
)


def _longest_min(network: Network, element: str) -> float:
    """Return the minutes of the longest outage that is drawn: longer than the battery lasts."""
    return 1.5 * power_model.autonomy_min(network, network.get(PowerSystem, element)) + 60.0


def _can_be_supplied(network: Network, element: str) -> bool:
    """Return whether every site on the feeder whose battery is too small can get power from a generator."""
    longest = _longest_min(network, element)
    small = [power for power in feeder(network, element) if power_model.autonomy_min(network, power) < longest]
    return all(power.generator is not None or power.mobile_inlet for power in small)


def _draw_long_outage(network: Network, element: str, seed: int) -> Parameters:
    minutes = _longest_min(network, element) * (0.8 + 0.2 * uniform(seed, "outage", element))
    return {
        "minutes": round(minutes),
        "estimate_min": round(minutes * (0.9 + 0.3 * uniform(seed, "estimate", element))),
    }


def _running_out(network: Network, element: str, details: Parameters) -> bool:
    """Return whether a battery on the feeder will be empty before the mains are back, as far as anybody knows."""
    due = network.agenda.due_s("mains_return", (element,)) or network.now
    left_min = (due - network.now) / MINUTE_S
    return any(
        power.dark or power_model.autonomy_min(network, power) < left_min
        for power in feeder(network, element)
        if not power_model.supplied(power)
    )


register_form(
    replace(
        MAINS,
        form="delayed",
        eligible=_narrowed(MAINS, _can_be_supplied),
        sample=_draw_long_outage,
        present=_running_out,
    )
)
register_form(replace(BREAKER, form="delayed"))


def _missing_c(network: Network, element: str) -> float:
    """Return how much warmer a day must be for baseband units to switch off at last, in the present load."""
    site = network.get(Cabinet, element).site_id
    heat = thermal_model.HEAT_C_PER_KW * power_model.load_w(network, site) / 1e3
    return SHUTDOWN_C + SLOWLY_C - thermal_model.outside_c(network, site) - heat


register_form(
    replace(
        COOLING,
        form="delayed",
        eligible=_narrowed(COOLING, lambda network, element: 0.0 <= _missing_c(network, element) <= 12.0),
        sample=lambda network, element, seed: {"warmer_c": round(_missing_c(network, element), 1)},
    )
)
