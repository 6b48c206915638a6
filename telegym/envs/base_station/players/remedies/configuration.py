"""Configuration, licences, certificates, locks, hung processes."""

from __future__ import annotations

import re

from telegym.envs.base_station.players.desk import Desk, fields, rows, site_of
from telegym.envs.base_station.players.remedies.registry import Look, Remedy, Work, register
from telegym.envs.base_station.players.steps import Steps

__all__: list[str] = []

MAX_TILT_STEP = 4.0
"""Largest change of tilt in one call, in degrees."""


def _itself(element: str) -> str | None:
    return element


def _look_at_cell(desk: Desk, element: str) -> Steps[str]:
    seen = []
    for tool, arguments in (
        ("list_alarms", {"scope_id": site_of(element)}),
        ("get_cell_status", {"cell_id": element}),
        ("get_config", {"element_id": element, "compare_to": "planned"}),
        ("get_config_history", {"element_id": element}),
    ):
        seen.append((yield from desk.do(tool, **arguments)).text)
    return "\n".join(seen)


# --- parameters -----------------------------------------------------------------------------------------


def _parameter(*names: str, free: bool) -> Work:
    """Return the work of setting parameters to their planned values.

    Args:
        *names: The parameters that may be wrong.
        free: Whether no approval is needed.
    """

    def work(desk: Desk, element: str, seen: str) -> Steps[str]:
        wrong = [row for row in rows(seen, "parameter") if row["parameter"] in names]
        named: dict[str, str] = {}
        if not free:
            change = yield from desk.approve([element], "parameter", f"{element} goes back to the plan")
            named = {"change_request_id": change} if change else {}
            yield from desk.do("list_alarms", scope_id=site_of(element))
            yield from desk.do("get_config", element_id=element, compare_to="planned")
        for row in wrong:
            yield from desk.act(
                "set_parameter", element_id=element, parameter=row["parameter"], value=row["planned"], **named
            )
        return "fixed_remote"

    return work


def _tilt(desk: Desk, element: str, seen: str) -> Steps[str]:
    wrong = next((row for row in rows(seen, "parameter") if row["parameter"] == "electrical_tilt_deg"), None)
    change = yield from desk.approve([element], "tilt", f"the tilt of {element} goes back to the plan")
    named = {"change_request_id": change} if change else {}
    yield from desk.do("list_alarms", scope_id=site_of(element))
    yield from desk.do("get_config", element_id=element, compare_to="planned")
    present, planned = (float(wrong["present"]), float(wrong["planned"])) if wrong else (0.0, 0.0)
    while abs(planned - present) > 1e-6:
        present += max(-MAX_TILT_STEP, min(MAX_TILT_STEP, planned - present))
        yield from desk.act("set_antenna_tilt", cell_id=element, electrical_tilt_deg=round(present, 1), **named)
    return "fixed_remote"


def _look_at_neighbours(desk: Desk, element: str) -> Steps[str]:
    # A relation may be named instead of its first cell.
    cell = element.partition(">")[0]
    seen = yield from _look_at_cell(desk, cell)
    relations = yield from desk.do("get_neighbour_relations", cell_id=cell)
    return f"{seen}\n{relations.text}"


def _relation(desk: Desk, element: str, seen: str) -> Steps[str]:
    source = element.partition(">")[0]
    removed = [
        row["element_id"] for row in rows(seen, "version") if ">" in row["element_id"] and row["new"] == "removed"
    ]
    for name in removed[:1]:
        target = name.partition(">")[2] if name.startswith(f"{source}>") else name.partition(">")[0]
        yield from desk.act("set_neighbour_relation", action="add", source_cell_id=source, target_cell_id=target)
    return "fixed_remote"


# --- locks and hangs ------------------------------------------------------------------------------------


def _unlock(desk: Desk, element: str, seen: str) -> Steps[str]:
    reference = re.search(r"\bCR-\d{5}\b", seen)
    if reference:
        yield from desk.do("get_record", record_id=reference[0])
    yield from desk.act("set_admin_state", element_id=element, state="UNLOCKED", reason="work is over")
    return "fixed_remote"


def _look_for_users(desk: Desk, element: str) -> Steps[str]:
    seen = yield from _look_at_cell(desk, element)
    kpis = ["rrc_setup_attempts", "rach_success_pct", "cell_availability_pct"]
    indicators = yield from desk.do("get_kpi", element_id=element, kpis=kpis, hours=6)
    info = yield from desk.do("get_element_info", element_id=element)
    return f"{seen}\n{indicators.text}\n{info.text}"


def _wake(desk: Desk, element: str, seen: str) -> Steps[str]:
    for state in ("LOCKED", "UNLOCKED"):
        yield from desk.act("set_admin_state", element_id=element, state=state, reason="restart of the cell")
    yield from desk.wait(3)
    test = yield from desk.do("run_cell_service_test", cell_id=element, test="attach")
    if _attaches(test.text):
        return "fixed_remote"
    board = fields(seen).get("board", "")
    yield from desk.do("get_node_status", node_id=board.rpartition("-")[0])
    change = yield from desk.approve([board], "reset", f"{element} serves nobody; its board is restarted")
    named = {"change_request_id": change} if change else {}
    yield from desk.do("list_alarms", scope_id=site_of(element))
    yield from desk.do("get_node_status", node_id=board.rpartition("-")[0])
    yield from desk.act("reset_unit", unit_id=board, **named)
    yield from desk.wait(5)
    return "fixed_remote"


def _attaches(text: str) -> bool:
    return bool(re.search(r"result: (ok|passed|success)", text, re.IGNORECASE))


# --- licences and certificates --------------------------------------------------------------------------


def _look_at_node(tool: str, **arguments: str) -> Look:
    def look(desk: Desk, element: str) -> Steps[str]:
        alarms = yield from desk.do("list_alarms", scope_id=site_of(element))
        status = yield from desk.do("get_node_status", node_id=element)
        details = yield from desk.do(tool, node_id=element, **arguments)
        return f"{details.text}\n{status.text}\n{alarms.text}"

    return look


def _licence(desk: Desk, element: str, seen: str) -> Steps[str]:
    spent = [row["feature"] for row in rows(seen, "licence_id") if row["state"] != "VALID"]
    pool = rows(seen, "pool_licence_id")
    for feature in dict.fromkeys(spent):
        spare = next((row["pool_licence_id"] for row in pool if row["feature"] == feature), None)
        if spare is not None:
            yield from desk.act("activate_licence", node_id=element, licence_id=spare)
    return "fixed_remote"


def _certificate(desk: Desk, element: str, seen: str) -> Steps[str]:
    for row in rows(seen, "certificate_id"):
        if row["state"] != "VALID":
            yield from desk.act("renew_certificate", node_id=element, certificate_id=row["certificate_id"])
    yield from desk.wait(4)
    return "fixed_remote"


register("cell_left_locked", Remedy(_look_at_cell, _unlock, _itself))
register("cell_barred", Remedy(_look_at_cell, _parameter("cell_barred", free=True), _itself))
register(
    "energy_saving_stuck",
    Remedy(_look_at_cell, _parameter("es_wake_threshold_pct", "es_enabled", free=True), _itself),
)
register("wrong_tac", Remedy(_look_at_cell, _parameter("tac", free=False), _itself))
register("tx_power_misconfiguration", Remedy(_look_at_cell, _parameter("max_tx_power_dbm", free=False), _itself))
register("pci_collision", Remedy(_look_at_neighbours, _parameter("pci", free=False), _itself))
register("pci_confusion", Remedy(_look_at_neighbours, _parameter("pci", free=False), _itself))
register("tilt_misconfiguration", Remedy(_look_at_cell, _tilt, _itself))
register(
    "missing_neighbour",
    Remedy(_look_at_neighbours, _relation, lambda element: element.partition(">")[0]),
)
register("sleeping_cell_access", Remedy(_look_for_users, _wake, _itself))
register("licence_expired", Remedy(_look_at_node("get_licence_status"), _licence))
register("certificate_expired", Remedy(_look_at_node("get_software_status", section="certificates"), _certificate))
