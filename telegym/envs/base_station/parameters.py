"""Configuration parameters: which there are, what values they take, what changing them does.

The class of a parameter says what a change costs: `S` restarts the cell or the node's association, `C` changes service
at once, `F` is free. Values travel as text, as operators type them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

from telegym.envs.base_station.objects import Cell, ClockUnit, Node, RadioUnit, Rat, Record, Router, TransportLink
from telegym.envs.base_station.physics.spectrum import LAYERS

if TYPE_CHECKING:
    from telegym.envs.base_station.network import Network

__all__ = [
    "BASELINE_S",
    "Parameter",
    "last_known_good",
    "parameters_of",
    "planned_value",
    "text_of",
    "value_from_text",
]

BASELINE_S = 7 * 86_400
"""The last known good configuration is the weekly baseline: what was in force this long ago."""
TTT_MS = (0, 40, 64, 80, 100, 128, 160, 256, 320, 480, 512, 640, 1024, 1280, 2560, 5120)
"""Times to trigger (TS 36.331, TimeToTrigger)."""
LTE_BANDWIDTHS = (1.4, 3.0, 5.0, 10.0, 15.0, 20.0)
NR_BANDWIDTHS = {15.0: (5.0, 10.0, 15.0, 20.0), 30.0: (10.0, 20.0, 40.0, 50.0, 60.0, 80.0, 100.0)}
TDD_PATTERNS = {
    Rat.LTE: ("config 1 SSF 7", "config 2 SSF 5", "config 2 SSF 7"),
    Rat.NR: ("DDDSU 10:2:2", "DDDSUUDDDD 6:4:4", "DDDDDDDSUU 6:4:4"),
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One configuration parameter of a kind of element."""

    name: str
    """Its name, as `get_config` shows it."""
    kind: Literal["int", "float", "bool", "text"]
    """Type of its values."""
    parameter_class: Literal["S", "C", "F"] | None
    """What a change costs; None if it cannot be set by hand."""
    low: float = 0.0
    """Smallest value."""
    high: float = 0.0
    """Largest value; equal to `low` for no bounds."""
    step: float = 0.0
    """Values are multiples of it; 0 for any."""
    pattern: str = ""
    """Regular expression that text values match."""
    field: str = ""
    """Field of the record, if it is called otherwise."""

    @property
    def attribute(self) -> str:
        """Field of the record that holds it."""
        return self.field or self.name


_ADDRESS = r"(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}"
_CELL = (
    Parameter("administrative_state", "text", None),
    Parameter("pci", "int", "S", 0, 1007),
    Parameter("tac", "int", "S", 1, 16_777_213),
    Parameter("arfcn_dl", "int", "S", 0, 3_279_165),
    Parameter("bandwidth_mhz", "float", "S", 1.4, 100),
    Parameter("root_sequence_index", "int", "S", 0, 837),
    Parameter("max_tx_power_dbm", "float", "C", 20, 53, 0.1),
    Parameter("electrical_tilt_deg", "float", None),
    Parameter("mechanical_tilt_deg", "float", None),
    Parameter("azimuth_deg", "float", None),
    Parameter("cell_barred", "bool", "F"),
    Parameter("q_rx_lev_min_dbm", "int", "C", -140, -44),
    Parameter("a3_offset_db", "float", "C", -15, 15, 0.5),
    Parameter("ttt_ms", "int", "C", 0, 5120),
    Parameter("cio_db", "float", "C", -24, 24, 0.5),
    Parameter("max_connected_users", "int", "C", 10, 2000),
    Parameter("load_balancing", "bool", "F"),
    Parameter("es_enabled", "bool", "F"),
    Parameter("es_wake_threshold_pct", "int", "F", 0, 100),
    Parameter("endc_allowed", "bool", "F"),
    Parameter("ocns_enabled", "bool", "F"),
    Parameter("rim_mitigation", "bool", "F"),
    Parameter("tdd_pattern", "text", "S"),
    Parameter("plmn_list", "text", "S", pattern=r"\d{3}-\d{2,3}(,\d{3}-\d{2,3})*"),
    Parameter("snssai_list", "text", "S", pattern=r"\d{1,3}(,\d{1,3})*"),
    Parameter("ul_prb_blacklist", "text", "C", pattern=r"(\d{1,3}-\d{1,3})?"),
    Parameter("access_barring_mo_signalling", "bool", "C"),
)
_NODE = (
    Parameter("vlan_id", "int", "S", 1, 4094),
    Parameter("oam_vlan_id", "int", "S", 1, 4094),
    Parameter("next_hop", "text", "S", pattern=_ADDRESS),
    Parameter("amf_ip", "text", "S", pattern=_ADDRESS),
)
_ROUTER = (
    Parameter("active_path", "text", None),
    Parameter("mtu", "int", "C", 576, 9216),
    Parameter("vlan_id", "int", "S", 1, 4094),
    Parameter("oam_vlan_id", "int", "S", 1, 4094),
    Parameter("next_hop", "text", "S", pattern=_ADDRESS),
    Parameter("dscp_map", "text", "C", pattern=r"[A-Z0-9]{2,4}:\d{1,2}(,[A-Z0-9]{2,4}:\d{1,2})*"),
    Parameter("shaper_mbps", "float", "C", 0, 10_000),
)
_LINK = (Parameter("lag_member", "int", "C", 1, 4, field="members"),)
_CLOCK = (Parameter("source", "text", None),)

_TABLES: dict[type[Record], dict[str, Parameter]] = {
    kind: {item.name: item for item in items}
    for kind, items in ((Cell, _CELL), (Node, _NODE), (Router, _ROUTER), (TransportLink, _LINK), (ClockUnit, _CLOCK))
}


def parameters_of(record: Record) -> dict[str, Parameter]:
    """Return the configuration parameters of an element by name; empty if it has none."""
    return _TABLES.get(type(record), {})


def text_of(value: Any) -> str:
    """Return a value as operators write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return str(value.value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def planned_value(network: Network, record: Record, parameter: Parameter) -> Any:
    """Return what the plan says; in a few regions the plan lags behind an approved change."""
    stale = network.region.planned.get(record.id, {})
    if parameter.attribute in stale:
        return stale[parameter.attribute]
    built = network.region.records.get(record.id, record)
    return getattr(built, parameter.attribute)


def last_known_good(network: Network, record: Record) -> dict[str, Any]:
    """Return the parameters that had other values at the weekly baseline, with those values."""
    found: dict[str, Any] = {}
    known = {item.attribute: name for name, item in parameters_of(record).items()}
    for change in network.changes:
        if change.element_id == record.id and change.time_s > network.now - BASELINE_S and change.parameter in known:
            found.setdefault(known[change.parameter], change.before)
    return {name: value for name, value in found.items() if value != _present(record, name)}


def _present(record: Record, name: str) -> Any:
    return getattr(record, parameters_of(record)[name].attribute)


def value_from_text(network: Network, record: Record, parameter: Parameter, text: str) -> Any:
    """Return a value from its text.

    Raises:
        ValueError: If the text is no value of the parameter for this element; the message says what is.
    """
    value = _READERS[parameter.kind](parameter, text.strip())
    choices = tuple(_choices(record, parameter))
    if choices and value not in choices:
        raise ValueError(f"{parameter.name} is one of {', '.join(map(text_of, choices))}, not {text[:40]!r}")
    low, high = _bounds(network, record, parameter)
    if low != high and not low <= value <= high:
        raise ValueError(f"{parameter.name} of {record.id} is between {low:g} and {high:g}, not {text[:40]!r}")
    if parameter.step and abs(value / parameter.step - round(value / parameter.step)) > 1e-6:
        raise ValueError(f"{parameter.name} goes in steps of {parameter.step:g}, not {text[:40]!r}")
    return value


def _read_int(parameter: Parameter, text: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,9}(\.0+)?", text):
        raise ValueError(f"{parameter.name} is a whole number, not {text[:40]!r}")
    return int(float(text))


def _read_float(parameter: Parameter, text: str) -> float:
    if not re.fullmatch(r"[+-]?\d{1,9}(\.\d{1,6})?", text):
        raise ValueError(f"{parameter.name} is a number, not {text[:40]!r}")
    return float(text)


def _read_bool(parameter: Parameter, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{parameter.name} is true or false, not {text[:40]!r}")
    return text.lower() == "true"


def _read_text(parameter: Parameter, text: str) -> str:
    if parameter.pattern and not re.fullmatch(parameter.pattern, text):
        raise ValueError(f"{text[:40]!r} is no value of {parameter.name}")
    return text


_READERS: dict[str, Callable[[Parameter, str], Any]] = {
    "int": _read_int,
    "float": _read_float,
    "bool": _read_bool,
    "text": _read_text,
}


def _choices(record: Record, parameter: Parameter) -> Iterable[Any]:
    if parameter.name == "ttt_ms":
        return TTT_MS
    if not isinstance(record, Cell):
        return ()
    if parameter.name == "bandwidth_mhz":
        return LTE_BANDWIDTHS if record.rat is Rat.LTE else NR_BANDWIDTHS[LAYERS[record.layer].subcarrier_khz]
    if parameter.name == "tdd_pattern":
        return TDD_PATTERNS[record.rat] if record.tdd else ("",)
    return ()


def _bounds(network: Network, record: Record, parameter: Parameter) -> tuple[float, float]:
    """Return the smallest and the largest value for one element."""
    low, high = parameter.low, parameter.high
    if isinstance(record, Cell):
        if parameter.name == "max_tx_power_dbm":
            high = network.get(RadioUnit, record.ru_id).max_power_dbm
        elif record.rat is Rat.LTE:
            high = {"pci": 503.0, "tac": 65_533.0, "arfcn_dl": 65_535.0, "max_connected_users": 1200.0}.get(
                parameter.name, high
            )
    if isinstance(record, TransportLink):
        high = record.members + record.spare_members
    return low, high
