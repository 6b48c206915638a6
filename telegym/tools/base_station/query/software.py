"""Licences, software and certificates of a node."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

from telegym.envs.base_station.licences import licence_pool
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.objects import Board, Certificate, Licence, Node
from telegym.tools.base_station._format import Report, cell, day

__all__ = ["get_licence_status", "get_software_status"]

WARNING_S = 14 * 86_400
"""How long before its end a licence or certificate is said to expire soon."""


def get_licence_status(network: Network, report: Report, node_id: str) -> Report:
    """Answer with the licences of a node, and with what the pool holds: first what the node is in need of."""
    node = network.get(Node, node_id)
    report.fields(node=node.id, licences=len(node.licences))
    rows = [
        (
            licence.id,
            licence.feature.value,
            f"{licence.used}/{licence.capacity}",
            day(licence.expires_s),
            _state(network, licence),
        )
        for licence in node.licences
    ]
    report.table(("licence_id", "feature", "used", "expires", "state"), rows)
    wanted = {licence.feature for licence in node.licences if _state(network, licence) != "VALID"}
    spare = sorted(licence_pool(network), key=lambda licence: licence.feature not in wanted)
    pool = [(licence.id, licence.feature.value, str(licence.capacity)) for licence in spare]
    return report.table(("pool_licence_id", "feature", "capacity"), pool)


def _state(network: Network, item: Licence | Certificate) -> str:
    if item.expires_s <= network.now:
        return "EXPIRED"
    return "EXPIRING" if item.expires_s - network.now < WARNING_S else "VALID"


def get_software_status(network: Network, report: Report, node_id: str, section: str = "all") -> Report:
    """Answer with the software of a node, its certificates, or both."""
    node = network.get(Node, node_id)
    report.fields(node=node.id, model=node.model)
    if section != "certificates":
        _software(network, report, node)
    if section != "software":
        rows = [
            (item.id, item.subject, day(item.expires_s), _state(network, item), "yes" if item.auto_renew else "no")
            for item in node.certificates
        ]
        report.table(("certificate_id", "subject", "not_after", "state", "auto_renew"), rows)
    return report


def _software(network: Network, report: Report, node: Node) -> None:
    report.fields(version=node.software, fallback_version=node.fallback_software, repository=node.packages)
    state = "RESTARTING" if node.restart_until_s is not None else "RUNNING"
    report.fields(state=state, last_start=day(node.booted_s))
    boards = [board.id for board in network.at_site(Board, node.site_id) if board.node_id == node.id]
    report.details(boards_on_this_version=len(boards))
    issues = [issue for issue in _known_issues() if node.software in issue["versions"]]
    rows = [(issue["id"], cell(issue["symptom"]), issue["fixed_in"]) for issue in issues]
    report.table(("known_issue", "symptom", "fixed_in"), rows)


@cache
def _known_issues() -> list[dict[str, str]]:
    """Return what vendors have published about their versions."""
    text = resources.files("telegym.tools.base_station").joinpath("known_issues.json").read_text(encoding="utf-8")
    found: list[dict[str, str]] = json.loads(text)
    return found
