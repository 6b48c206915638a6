"""Third parties: who takes which case, when they answer, and when they have restored service.

Whether a party accepts depends on the physical state of the elements it is asked about, not on what anybody believes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from telegym.core.errors import ToolError
from telegym.envs.base_station.engine import HOUR_S, MINUTE_S, handles
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import lognormal
from telegym.envs.base_station.objects import (
    CorePeer,
    Emitter,
    Node,
    PowerSystem,
    Record,
    Site,
    TransportLink,
)
from telegym.envs.base_station.process.records import Escalation, Notice
from telegym.envs.base_station.process.tickets import open_ticket

__all__ = ["PARTIES", "Party", "escalate"]

Test = Callable[[Network, Record], bool]


class Party(NamedTuple):
    """Somebody outside the operations centre."""

    responds_min: int
    """Minutes until the first answer, if the case is theirs."""
    bounces_min: int
    """Minutes until they refuse a case that is not."""
    restores_min: float
    """Median of the minutes until service is restored, counted from the escalation; 0 if they only take over."""
    sigma: float
    """Spread of its logarithm."""
    fee_eur: float
    """What asking costs."""


PARTIES = {
    "transport_provider": Party(15, 45, 240.0, 0.5, 0.0),
    "power_utility": Party(10, 20, 95.0, 0.2, 0.0),
    "core_noc": Party(15, 30, 30.0, 0.6, 0.0),
    "security_soc": Party(10, 20, 20.0, 0.0, 0.0),
    "spectrum_regulator": Party(60, 24 * 60, 4 * 24 * 60.0, 0.5, 0.0),
    "rf_planning": Party(240, 240, 0.0, 0.0, 0.0),
    "vendor_support": Party(60, 90, 240.0, 0.4, 400.0),
    "tier3_ran": Party(20, 20, 0.0, 0.0, 120.0),
    "tower_company": Party(240, 240, 2 * 24 * 60.0, 0.3, 0.0),
}
"""Parties by name."""


def escalate(network: Network, ticket_id: str, party: str, summary: str, element_ids: tuple[str, ...]) -> Escalation:
    """Hand a case to another party; the answer comes later.

    Raises:
        ToolError: If the ticket or an element does not exist, or the summary is empty.
    """
    open_ticket(network, ticket_id)
    for name in element_ids:
        network.get(Record, name)
    if not summary.strip():
        raise ToolError("INVALID_ARGUMENT: the summary is empty")
    number = 1 + sum(isinstance(item, Escalation) for item in network.objects.values())
    case = Escalation(f"ESC-{number:05}", ticket_id, party, element_ids, summary.strip(), network.now)
    network.add(case)
    theirs = _theirs(network, party, element_ids)
    wait = PARTIES[party].responds_min if theirs else PARTIES[party].bounces_min
    network.schedule(network.now + wait * MINUTE_S, "party_answer", case.id)
    return case


def _theirs(network: Network, party: str, element_ids: tuple[str, ...]) -> list[Record]:
    """Return the elements whose trouble is the party's."""
    around = [record for name in element_ids for record in _around(network, name)]
    test = _TESTS.get(party)
    if test is None:
        return around
    return [record for record in around if test(network, record)]


def _around(network: Network, name: str) -> list[Record]:
    """Return an element and what an outsider would look at for it: the site's power, its links, the core, emitters."""
    record = network.get(Record, name)
    site = getattr(record, "site_id", None) or (record.id if isinstance(record, Site) else None)
    found: list[Record] = [record]
    if site is not None:
        found.append(network.get(Site, site))
        found.append(network.get(PowerSystem, f"PWR-{site[1:]}"))
        ways = network.region.transport.paths[site]
        found += [network.get(TransportLink, link) for way in ways.values() for link in way]
    if isinstance(record, Node):
        found += [network.get(CorePeer, peer) for peer in record.core_peers]
    found += [item for item in network.objects.values() if isinstance(item, Emitter)]
    return list({item.id: item for item in found}.values())


def _cut(network: Network, record: Record) -> bool:
    return isinstance(record, TransportLink) and record.provider != "own" and (record.cut or record.growth > 1.0)


def _unpowered(network: Network, record: Record) -> bool:
    return isinstance(record, PowerSystem) and not record.mains_ok


def _core_down(network: Network, record: Record) -> bool:
    return isinstance(record, CorePeer) and not record.up


def _intruded(network: Network, record: Record) -> bool:
    return isinstance(record, Site) and record.intruded


def _radiating(network: Network, record: Record) -> bool:
    return isinstance(record, Emitter) or bool(getattr(record, "jammed", False))


def _crowded(network: Network, record: Record) -> bool:
    return (isinstance(record, TransportLink) and record.growth > 1.0) or getattr(record, "demand_factor", 1.0) > 1.3


_TESTS: dict[str, Test] = {
    "transport_provider": _cut,
    "power_utility": _unpowered,
    "core_noc": _core_down,
    "security_soc": _intruded,
    "spectrum_regulator": _radiating,
    "rf_planning": _crowded,
    "vendor_support": lambda network, record: getattr(record, "memory_pct", 0.0) > 80.0,
    "tower_company": lambda network, record: getattr(record, "true_azimuth_deg", None) is not None,
}
_REFUSALS = {
    "transport_provider": "Our monitoring shows all your circuits up.",
    "power_utility": "No outage is registered at your meter.",
    "core_noc": "All core nodes answer; we see no fault on our side.",
    "security_soc": "No sign of an incident in what you sent.",
    "spectrum_regulator": "Our measurement found no unlawful emission.",
    "rf_planning": "Load and plan agree; nothing for planning.",
    "vendor_support": "No known defect matches; please check hardware and configuration first.",
    "tower_company": "Our structure is in order.",
}


@handles("party_answer")
def _answer(network: Network, case_id: str) -> None:
    case = network.get(Escalation, case_id)
    theirs = _theirs(network, case.party, case.element_ids)
    if case.party == "tier3_ran":
        network.update(case, accepted=True, answer="We look into it; check what the evidence has in common first.")
    elif not theirs:
        network.update(case, accepted=False, answer=_REFUSALS[case.party])
    else:
        _accept(network, case, theirs)
    network.report("party_answered", case_id, "accepted" if network.get(Escalation, case_id).accepted else "refused")


def _accept(network: Network, case: Escalation, theirs: list[Record]) -> None:
    party = PARTIES[case.party]
    if not party.restores_min:
        network.update(case, accepted=True, answer="Taken over; the change will be planned.")
        return
    end = _restoration_s(network, case, theirs)
    hours = max(end - network.now, 0) / HOUR_S
    said = f"Confirmed. Expected to be restored in {hours:.1f} h." if hours < 24 else "Confirmed. This will take days."
    network.update(case, accepted=True, answer=said, restore_s=end)
    network.schedule(end, "party_restored", case.id)


def _restoration_s(network: Network, case: Escalation, theirs: list[Record]) -> int:
    """Return when service is back: the utility's published time where there is one, else a draw."""
    if case.party == "power_utility":
        ends = [notice.end_s for notice in network.all(Notice) if _is_about(network, notice, theirs)]
        if ends:
            return max(min(ends), network.now + MINUTE_S)
    party = PARTIES[case.party]
    minutes = lognormal(party.restores_min, party.sigma, network.seed, "restoration", case.party, theirs[0].id)
    return max(case.asked_s + round(minutes * MINUTE_S), network.now + MINUTE_S)


def _is_about(network: Network, notice: Notice, records: list[Record]) -> bool:
    """Return whether a notice tells of a mains outage that has begun at the site of one of some power systems."""
    sites = [network.get(Site, record.site_id) for record in records if isinstance(record, PowerSystem)]
    named = {name for site in sites for name in (site.id, site.utility_zone)}
    return notice.kind == "utility_outage" and notice.start_s <= network.now and not named.isdisjoint(notice.scope)


@handles("party_restored")
def _restore(network: Network, case_id: str) -> None:
    case = network.get(Escalation, case_id)
    for record in _theirs(network, case.party, case.element_ids):
        _repair(network, record)
    network.report("party_restored", case_id, case.party)


def _repair(network: Network, record: Record) -> None:
    if isinstance(record, TransportLink):
        network.update(record, cut=False, cut_at_km=0.0)
    elif isinstance(record, PowerSystem):
        network.update(record, mains_ok=True)
    elif isinstance(record, CorePeer):
        network.update(record, up=True)
    elif isinstance(record, Emitter):
        network.remove(record)
