"""Fronthaul, radio units and baseband hardware."""

from __future__ import annotations

from telegym.envs.base_station.engine import MINUTE_S, handles
from telegym.envs.base_station.faults._fields import field_fault, ids
from telegym.envs.base_station.faults._renewal import change_s
from telegym.envs.base_station.faults.registry import Fault, Parameters, register
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import integer, uniform
from telegym.envs.base_station.objects import Board, BoardKind, FronthaulLink, RadioUnit

__all__ = ["DIRTY_FIBRE"]


def _link_ends(network: Network, element: str) -> tuple[str, ...]:
    link = network.get(FronthaulLink, element)
    return (element, link.ru_id, link.board_id)


field_fault(
    "fronthaul_sfp_failure",
    FronthaulLink,
    lambda network, element, seed: {"near": uniform(seed, "end", element) < 0.5},
    lambda network, element, details: {"near_sfp_failed" if details["near"] else "far_sfp_failed": True},
    accepted=_link_ends,
)


# --- fronthaul_fibre_degradation ------------------------------------------------------------------------


def _draw_dirt(network: Network, element: str, seed: int) -> Parameters:
    link = network.get(FronthaulLink, element)
    margin = link.design_rx_dbm - link.loss_limit_dbm
    return {
        "loss_db": round(max(margin - 2.0 + 4.0 * uniform(seed, "loss", element), 5.0), 1),
        "at_m": integer(1, max(int(1000 * link.length_km), 2), seed, "place", element),
        "cleanable": uniform(seed, "dirt", element) < 0.7,
    }


def _soil(network: Network, element: str, details: Parameters) -> None:
    link = network.get(FronthaulLink, element)
    network.update(
        link,
        extra_loss_db=float(details["loss_db"]),
        extra_loss_at_m=float(details["at_m"]),
        cleanable=bool(details["cleanable"]),
        flapping=True,
        flap_down=True,
    )
    network.schedule(network.now + 8 * MINUTE_S, "fronthaul_flap", element)


@handles("fronthaul_flap")
def _flap(network: Network, element: str) -> None:
    """The loss comes for some minutes, and goes for longer, until somebody repairs it."""
    link = network.get(FronthaulLink, element)
    if not link.flapping:
        return
    link = network.update(link, flap_down=not link.flap_down)
    network.schedule(change_s(network, "flap", element, on=link.flap_down), "fronthaul_flap", element)


def _clean(network: Network, element: str, details: Parameters) -> None:
    link = network.get(FronthaulLink, element)
    network.update(link, extra_loss_db=0.0, extra_loss_at_m=0.0, cleanable=True, flapping=False, flap_down=False)
    network.cancel("fronthaul_flap", element)


DIRTY_FIBRE = register(
    Fault(
        "fronthaul_fibre_degradation",
        lambda network: ids(network, FronthaulLink),
        _draw_dirt,
        _soil,
        lambda network, element, details: network.get(FronthaulLink, element).extra_loss_db > 0,
        _clean,
        _link_ends,
        form="intermittent",
    )
)
"""A patch cable that is dirty or bent."""


# --- radio units and boards -----------------------------------------------------------------------------

field_fault(
    "radio_unit_hardware_failure",
    RadioUnit,
    lambda network, element, seed: {},
    lambda network, element, details: {"failed": True},
)
field_fault(
    "radio_unit_software_hang",
    RadioUnit,
    lambda network, element, seed: {"stubborn": uniform(seed, "stubborn", element) < 0.35},
    lambda network, element, details: {"hang": True, "hang_needs_power_cycle": bool(details["stubborn"])},
)


def _draw_branch(network: Network, element: str, seed: int) -> Parameters:
    unit = network.get(RadioUnit, element)
    return {
        "branch": integer(0, unit.branches - 1, seed, "branch", element),
        "soft": uniform(seed, "soft", element) < 0.25,
    }


field_fault(
    "tx_branch_failure",
    RadioUnit,
    _draw_branch,
    lambda network, element, details: {
        "failed_branches": (int(details["branch"]),),
        "soft_branches": (int(details["branch"]),) if details["soft"] else (),
    },
    test=lambda unit: unit.branches > 1,
)
field_fault(
    "baseband_board_failure",
    Board,
    lambda network, element, seed: {},
    lambda network, element, details: {"failed": True},
    test=lambda board: board.kind is BoardKind.BASEBAND,
    accepted=lambda network, element: (element,),
)
