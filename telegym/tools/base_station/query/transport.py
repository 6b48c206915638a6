"""Transport at this moment: `get_transport_status` of a link, port, router, node or site."""

from __future__ import annotations

from telegym.envs.base_station import dependencies
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import Node, Port, Record, Router, Site, TransportLink
from telegym.envs.base_station.physics.transport import modulation
from telegym.tools.base_station import _elements as elements
from telegym.tools.base_station import _measures as measures
from telegym.tools.base_station._errors import Code, refusal
from telegym.tools.base_station._format import Report, number

__all__ = ["get_transport_status", "port_state"]


def get_transport_status(network: Network, report: Report, element_id: str) -> Report:
    """Answer with the state of a link, port or router, or of the way of a node or site to the core."""
    if "-P" in element_id and element_id not in network.objects:
        router, port = elements.port(network, element_id)
        return _port(network, report, router, port)
    record = elements.element(network, element_id)
    if isinstance(record, TransportLink):
        return _link(network, report, record)
    if isinstance(record, Router):
        return _router(network, report, record)
    if isinstance(record, Node | Site):
        return _path(network, report, record)
    raise refusal(
        Code.INVALID_ARGUMENT,
        f"{element_id} is a {elements.kind_name(record)}, not a link, port, router, node or site",
    )


def _link(network: Network, report: Report, link: TransportLink) -> Report:
    up = dependencies.link_up(network, link.id)
    load = measures.link_now(network, link.id)
    report.fields(link=link.id, kind=link.kind, a=link.a_id, b=link.b_id)
    report.fields(state="UP" if up else "DOWN", role=link.role, provider=link.provider)
    report.fields(
        capacity_mbps=round(dependencies.link_capacity_mbps(link)) if up else 0,
        utilisation_pct=number(100 * load.utilisation if up else 0.0),
        loss_pct=number(100 * load.loss if up else 100.0, 2),
        delay_ms=number(load.delay_ms, 2) if up else "-",
        jitter_ms=number(0.25 * max(load.delay_ms - link.delay_ms, 0.02), 2) if up else "-",
    )
    level = dependencies.link_level_dbm(link)
    if level is None:
        dark = link.cut
        report.fields(signal="LOS" if dark else "OK", length_km=link.length_km)
        report.details(lag_member=link.members, spare_members=link.spare_members)
    else:
        step = modulation(level)
        report.fields(
            rsl_dbm=number(level + measures.jitter(network, 0.2, link.id)),
            rsl_other_end_dbm=number(level + measures.jitter(network, 0.2, link.id, "b")),
            design_rsl_dbm=link.design_rsl_dbm,
            acm=step.name if step else "NO_SIGNAL",
        )
        report.details(lowest_rsl_dbm=-84, length_km=link.length_km)
    if link.asymmetry_us:
        report.details(asymmetry_us=number(link.asymmetry_us))
    ports = [
        (port.id, port_state(network, router, port), *_light(router, port, link))
        for router in (network.get(Router, link.a_id), network.get(Router, link.b_id))
        for port in router.ports
        if port.link_id == link.id
    ]
    return report.table(("port", "state", "tx_dbm", "note"), ports)


def port_state(network: Network, router: Router, port: Port) -> str:
    """Return the operational state of a port."""
    if not dependencies.router_up(network, router.id):
        return "UNREACHABLE"
    if port.restart_until_s is not None:
        return "RESTARTING"
    if port.hung:
        return "ERR_DISABLED"
    if port.sfp_failed:
        return "DOWN"
    if port.link_id is None:
        return "UP"
    return "UP" if dependencies.link_up(network, port.link_id) else "DOWN"


def _light(router: Router, port: Port, link: TransportLink | None) -> tuple[str, str]:
    """Return the launched power of a port's module, and what its diagnosis says."""
    if link is not None and link.kind.startswith("mw"):
        return "-", "electrical port to the radio"
    if port.sfp_failed:
        return "-40.0", "laser off"
    note = "disabled by an error counter" if port.hung else "module normal"
    return "-2.1", note


def _port(network: Network, report: Report, router: Router, port: Port) -> Report:
    link = network.get(TransportLink, port.link_id) if port.link_id else None
    power, note = _light(router, port, link)
    report.fields(port=port.id, router=router.id, link=port.link_id or "base station")
    report.fields(state=port_state(network, router, port), tx_dbm=power, module=note)
    if link is not None and not link.kind.startswith("mw"):
        report.fields(rx_dbm="-40.0" if _dark(network, router, link) else "-6.4")
    return report


def _dark(network: Network, router: Router, link: TransportLink) -> bool:
    """Return whether a port hears nothing from the other end."""
    far = network.get(Router, link.b_id if link.a_id == router.id else link.a_id)
    laser_off = any(port.link_id == link.id and port.sfp_failed for port in far.ports)
    return link.cut or laser_off or not dependencies.router_up(network, far.id)


def _router(network: Network, report: Report, router: Router) -> Report:
    up = dependencies.router_reachable(network, router.id)
    report.fields(router=router.id, kind=router.kind, site=router.site_id, state="UP" if up else "UNREACHABLE")
    report.fields(mtu=router.mtu, vlan=router.vlan_id, oam_vlan=router.oam_vlan_id, next_hop=router.next_hop)
    report.fields(dscp_map=router.dscp_map.replace(",", "|"), shaper_mbps=router.shaper_mbps or "none")
    if router.site_id is not None:
        site = router.site_id
        provisioned = tuple(network.region.transport.paths[site])
        report.fields(
            path=router.active_path, path_up=dependencies.path_up(network, site), paths_provisioned=provisioned
        )
    rows = [(port.id, port.link_id or "base station", port_state(network, router, port)) for port in router.ports]
    return report.table(("port", "link", "state"), rows)


def _path(network: Network, report: Report, record: Record) -> Report:
    site = elements.site_id_of(network, record) or ""
    router = network.get(Router, f"CSR-{site[1:]}")
    paths = network.region.transport.paths[site]
    report.fields(element=record.id, router=router.id, path=router.active_path, paths_provisioned=tuple(paths))
    if isinstance(record, Node):
        report.fields(vlan=record.vlan_id, oam_vlan=record.oam_vlan_id, next_hop=record.next_hop, core=record.amf_ip)
        report.fields(router_vlan=router.vlan_id, router_oam_vlan=router.oam_vlan_id, router_next_hop=router.next_hop)
    report.fields(mtu=router.mtu, path_up=dependencies.path_up(network, site))
    rows = []
    for name in dependencies.path_links(network, site):
        up, load = dependencies.link_up(network, name), measures.link_now(network, name)
        link = network.get(TransportLink, name)
        shown = (number(100 * load.utilisation), number(load.delay_ms, 2), number(100 * load.loss, 2))
        rows.append((name, link.kind, "UP" if up else "DOWN", *(shown if up else ("-", "-", "-"))))
    return report.table(("link", "kind", "state", "utilisation_pct", "delay_ms", "loss_pct"), rows)
