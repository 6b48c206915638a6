"""Managed objects of a radio network, as immutable records.

Every object is a frozen record: what is built once (inventory), what can be set (configuration) and what happens to it
(physical state) stand side by side. A change makes a new record; the world keeps the present one under its id. Fields
marked *hidden* are the truth behind what tools show: no tool returns them.

States and names follow ITU-T X.731, 3GPP TS 28.541 (gNB classes), TS 28.658 (E-UTRAN classes) and TS 28.632
(inventory). Levels are in dBm or dB, angles in degrees, times in seconds since the start of the simulated week 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

__all__ = [
    "AccessRule",
    "AdministrativeState",
    "AntennaLine",
    "AvailabilityStatus",
    "BatteryString",
    "Board",
    "BoardKind",
    "Breaker",
    "BreakerState",
    "Cabinet",
    "Cell",
    "CellState",
    "Certificate",
    "ClockSource",
    "ClockState",
    "ClockUnit",
    "CorePeer",
    "Emitter",
    "FronthaulLink",
    "Generator",
    "GeneratorState",
    "Licence",
    "LicenceFeature",
    "Node",
    "OperationalState",
    "Port",
    "PowerSystem",
    "RadioUnit",
    "Rat",
    "Record",
    "Rectifier",
    "Relation",
    "RetUnit",
    "Router",
    "Site",
    "TransportLink",
    "UsageState",
]


class AdministrativeState(StrEnum):
    """Whether the operator permits use (X.731)."""

    LOCKED = "LOCKED"
    UNLOCKED = "UNLOCKED"
    SHUTTINGDOWN = "SHUTTINGDOWN"


class OperationalState(StrEnum):
    """Whether the object is able to work (X.731)."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"


class UsageState(StrEnum):
    """How much of the object's capacity is in use (X.731)."""

    IDLE = "IDLE"
    ACTIVE = "ACTIVE"
    BUSY = "BUSY"


class AvailabilityStatus(StrEnum):
    """Why an object does not work, or not fully (X.731)."""

    IN_TEST = "IN_TEST"
    FAILED = "FAILED"
    POWER_OFF = "POWER_OFF"
    OFF_LINE = "OFF_LINE"
    OFF_DUTY = "OFF_DUTY"
    DEPENDENCY = "DEPENDENCY"
    DEGRADED = "DEGRADED"
    NOT_INSTALLED = "NOT_INSTALLED"
    LOG_FULL = "LOG_FULL"


class CellState(StrEnum):
    """Whether an NR cell is in use (TS 28.541)."""

    IDLE = "IDLE"
    INACTIVE = "INACTIVE"
    ACTIVE = "ACTIVE"


class Rat(StrEnum):
    """Radio access technology."""

    LTE = "LTE"
    NR = "NR"


class AccessRule(StrEnum):
    """When a site may be entered."""

    ALWAYS = "24x7"
    OFFICE_HOURS = "office_hours"
    KEY_HOLDER = "key_holder"
    PERMIT = "permit_48h"


class BreakerState(StrEnum):
    """State of a breaker."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    TRIPPED = "TRIPPED"
    DAMAGED = "DAMAGED"


class GeneratorState(StrEnum):
    """State of a generator."""

    OFF = "OFF"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    FAIL_START = "FAIL_START"


class BoardKind(StrEnum):
    """What a board of a node does."""

    MAIN = "MAIN"
    BASEBAND = "BASEBAND"
    CLOCK = "CLOCK"
    FAN = "FAN"


class ClockSource(StrEnum):
    """Where a node takes its time from."""

    GNSS = "gnss"
    PTP = "ptp"
    SYNCE = "synce"
    FREE_RUN = "free_run"


class ClockState(StrEnum):
    """State of a clock unit."""

    LOCKED = "LOCKED"
    ACQUIRING = "ACQUIRING"
    HOLDOVER = "HOLDOVER"
    FREE_RUN = "FREE_RUN"


class LicenceFeature(StrEnum):
    """What a licence permits."""

    MIMO_4X4 = "mimo4x4"
    CARRIER_AGGREGATION = "ca"
    QAM256 = "qam256"
    BANDWIDTH_20 = "bandwidth_20"
    CONNECTED_USERS = "connected_users_pack"
    CARRIER = "carrier"
    VOLTE = "volte"


@dataclass(frozen=True, slots=True)
class Record:
    """What all managed objects have."""

    id: str
    """Name, unique in the region."""


@dataclass(frozen=True, slots=True)
class Site(Record):
    """A place with radio equipment."""

    name: str
    """Name of the place."""
    x_m: float
    """Metres east of the region's origin."""
    y_m: float
    """Metres north of the region's origin."""
    lat: float
    """Latitude in degrees."""
    lon: float
    """Longitude in degrees."""
    site_type: Literal["macro_tower", "rooftop", "street", "hub"]
    """Kind of building."""
    utility_zone: str
    """The mains feeder it shares with other sites."""
    access: AccessRule
    """When it may be entered."""
    travel_km: float
    """Distance from the depot."""
    vip: bool
    """Whether an important customer depends on it."""
    emergency: bool
    """Whether an emergency-call area has no other coverage."""
    tower_company: str
    """Who owns the structure."""
    design_autonomy_h: float
    """Hours the batteries are meant to last."""
    area_type: Literal["residential", "business", "road", "leisure"]
    """How traffic varies over the day."""
    probe: bool
    """Whether a test phone is installed nearby."""
    intruded: bool = False
    """Hidden: somebody broke in and nobody has secured the site yet."""
    sensor_fault: str | None = None
    """Hidden: the sensor that raises false alarms: `door`, `temperature`, `smoke` or `flood`."""


@dataclass(frozen=True, slots=True)
class Rectifier:
    """A rectifier module."""

    power_w: float
    """Rated output."""
    failed: bool = False
    """Whether it gives nothing."""


@dataclass(frozen=True, slots=True)
class BatteryString:
    """A string of 48 V."""

    kind: Literal["VRLA", "LI"]
    """Lead-acid or lithium iron phosphate."""
    capacity_ah: float
    """Rated capacity."""
    soh: float = 1.0
    """Hidden: state of health, share of the rated capacity, 0-1."""
    tested_soh: float | None = None
    """State of health as last tested; None if never, then 1 is assumed."""
    present: bool = True
    """Hidden: False when stolen."""


@dataclass(frozen=True, slots=True)
class Generator:
    """A fixed or mobile generator."""

    state: GeneratorState = GeneratorState.OFF
    """Whether it runs."""
    fuel_pct: float = 90.0
    """Fuel, per cent of the tank."""
    start_battery_v: float = 12.6
    """Voltage of the start battery; below 11.5 V it does not start."""
    mobile: bool = False
    """Whether it was brought by a technician."""
    since_s: int = 0
    """When the state was entered."""
    fuel_s: int = 0
    """When `fuel_pct` was computed."""
    fuel_pct_per_s: float = 0.0
    """Change of the fuel since then, per second."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """A circuit breaker: `Q1` for the mains, `B1` for the baseband unit, `F1`… for feeds of radio units."""

    id: str
    """Name, for example `PWR-012-F3`."""
    feeds: tuple[str, ...]
    """What it feeds: ids of nodes and radio units; the power system itself for `Q1`."""
    remote: bool
    """Whether it can be operated from afar."""
    monitored: bool
    """Whether its state is reported."""
    state: BreakerState = BreakerState.CLOSED
    """Its state."""
    shorted: bool = False
    """Hidden: a persistent short circuit behind it trips it again."""
    recloses: int = 0
    """How often it was reclosed since it last held."""


@dataclass(frozen=True, slots=True)
class PowerSystem(Record):
    """Power of a site: mains, rectifiers, batteries, generator, breakers."""

    site_id: str
    """Where it stands."""
    rectifiers: tuple[Rectifier, ...]
    """Modules, one more than needed when installed."""
    strings: tuple[BatteryString, ...]
    """Battery strings."""
    breakers: tuple[Breaker, ...]
    """Breakers, `Q1` first, then `B1`, then the feeds."""
    generator: Generator | None
    """The generator, if there is one."""
    mobile_inlet: bool
    """Whether a mobile generator can be connected."""
    mains_ok: bool = True
    """Hidden: whether the utility's feeder is live."""
    saver: bool = False
    """Whether low-priority carriers are shed to save the battery."""
    low_load_shed: bool = False
    """Whether the low-voltage disconnect has shed low-priority loads."""
    dark: bool = False
    """Whether the battery is disconnected and the site without power."""
    soc: float = 1.0
    """State of charge at `soc_s`, 0-1 of the real capacity."""
    soc_s: int = 0
    """When `soc` was computed."""
    soc_per_s: float = 0.0
    """Change of the state of charge since then, per second."""
    dark_s: int | None = None
    """When the site went dark."""
    surge_arrester_failed: bool = False
    """Whether the surge protector is blown."""
    charge_fault: bool = False
    """Hidden: the strings do not take charge."""
    under_test: bool = False
    """Whether a test lets the battery carry the site."""


@dataclass(frozen=True, slots=True)
class Cabinet(Record):
    """The cabinet or shelter of a site."""

    site_id: str
    """Where it stands."""
    has_air_conditioner: bool
    """Air conditioner, else fans only."""
    door_open: bool = False
    """Hidden: whether the door is really open."""
    cooling_failed: bool = False
    """Hidden: whether air conditioner or fan kit is dead."""
    temperature_c: float = 24.0
    """Temperature inside at `temperature_s`."""
    temperature_s: int = 0
    """When `temperature_c` was computed."""
    target_c: float = 24.0
    """Temperature it approaches."""
    hot: bool = False
    """Whether it is above the alarm's threshold."""
    throttled: bool = False
    """Whether the baseband units reduce their load."""
    overheated: bool = False
    """Whether the baseband units have switched themselves off."""
    smoke: bool = False
    """Hidden: whether there is smoke."""
    flood: bool = False
    """Hidden: whether there is water."""


@dataclass(frozen=True, slots=True)
class Licence:
    """Permission to use a feature."""

    id: str
    """Name, for example `LIC-012-3`."""
    feature: LicenceFeature
    """What it permits."""
    capacity: int
    """Units permitted."""
    used: int
    """Units in use."""
    expires_s: int
    """When it ends."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A device certificate."""

    id: str
    """Name, for example `CERT-012-1`."""
    subject: str
    """Whom it names."""
    expires_s: int
    """When it ends."""
    auto_renew: bool
    """Whether the node renews it by itself."""


@dataclass(frozen=True, slots=True)
class Node(Record):
    """A base station (ManagedElement): eNB, gNB, DU or CU."""

    site_id: str
    """Where it stands."""
    kind: Literal["eNB", "gNB", "DU", "CU"]
    """What it is."""
    dialect: Literal["A", "B", "C"]
    """The vendor's way of naming alarms."""
    model: str
    """Vendor's model."""
    router_id: str
    """Router at the site."""
    core_peers: tuple[str, ...]
    """Core nodes it is associated with."""
    peers: tuple[str, ...]
    """Nodes it has X2 or Xn links with."""
    cu_id: str | None
    """The CU it depends on; None if it is not split."""
    licences: tuple[Licence, ...]
    """Licences installed."""
    certificates: tuple[Certificate, ...]
    """Certificates installed."""
    software: str
    """Version in use."""
    fallback_software: str
    """Version that a rollback takes."""
    packages: tuple[str, ...]
    """Versions in the repository."""
    booted_s: int
    """When it last started."""
    restart_until_s: int | None = None
    """When a restart ends; None if none runs."""
    vlan_id: int = 100
    """VLAN of the control and user plane (configuration)."""
    oam_vlan_id: int = 200
    """VLAN of the management plane (configuration)."""
    next_hop: str = ""
    """Gateway address (configuration)."""
    amf_ip: str = ""
    """Address of the core (configuration)."""
    failed: bool = False
    """Hidden: whether its software does not come up."""
    cpu_extra_pct: float = 0.0
    """Hidden: processor load beyond what traffic causes."""


@dataclass(frozen=True, slots=True)
class Board(Record):
    """A board of a node."""

    node_id: str
    """The node."""
    slot: int
    """Its slot."""
    kind: BoardKind
    """What it does."""
    administrative_state: AdministrativeState = AdministrativeState.UNLOCKED
    """Whether the operator permits use."""
    failed: bool = False
    """Hidden: hardware fault that a restart does not cure."""
    hang: bool = False
    """Hidden: software fault that a restart cures."""
    restart_until_s: int | None = None
    """When a restart ends; None if none runs."""
    memory_pct: float = 45.0
    """Memory in use."""
    fan_failed: bool = False
    """Hidden: whether the fan tray is dead (kind FAN)."""


@dataclass(frozen=True, slots=True)
class RadioUnit(Record):
    """A radio unit: remote radio head or active antenna."""

    site_id: str
    """Where it stands."""
    node_id: str
    """The node it belongs to."""
    board_id: str
    """The baseband board that drives it."""
    layer: str
    """Band, for example `L18`."""
    sector: int
    """Sector, from 1."""
    part_type: str
    """Spare part that replaces it, for example `RU_L18`."""
    branches: int
    """Transmit branches (groups, for massive MIMO)."""
    transceivers: str
    """As written in data sheets, for example `4T4R`."""
    max_power_dbm: float
    """Rated power of all branches together."""
    breaker_id: str
    """Breaker of its feed."""
    low_priority: bool
    """Whether its load is shed first when power is short."""
    administrative_state: AdministrativeState = AdministrativeState.UNLOCKED
    """Whether the operator permits use."""
    failed: bool = False
    """Hidden: hardware fault of the whole unit."""
    hang: bool = False
    """Hidden: management software hung; `hang_needs_power_cycle` says what cures it."""
    hang_needs_power_cycle: bool = False
    """Hidden: a warm restart does not cure the hang."""
    muted: bool = False
    """Hidden: nothing is radiated although power is reported."""
    failed_branches: tuple[int, ...] = ()
    """Hidden: branches, from 0, whose amplifier is dead."""
    soft_branches: tuple[int, ...] = ()
    """Hidden: those of `failed_branches` that a warm restart cures."""
    over_temperature: bool = False
    """Hidden: cooling fins blocked."""
    restart_until_s: int | None = None
    """When a restart ends; None if none runs."""
    serial: int = 1
    """Counts replacements."""


@dataclass(frozen=True, slots=True)
class FronthaulLink(Record):
    """The link between a baseband board and a radio unit."""

    board_id: str
    """Baseband end."""
    ru_id: str
    """Radio end."""
    standard: Literal["CPRI", "eCPRI"]
    """Protocol."""
    rate: str
    """Line rate, for example `10.1376G`."""
    sfp_type: str
    """Optical module, for example `10G-LR`."""
    length_km: float
    """Fibre length."""
    design_rx_dbm: float
    """Received power as commissioned."""
    tx_dbm: float
    """Power launched by a healthy module."""
    loss_limit_dbm: float
    """Received power below which synchronisation is lost."""
    near_sfp_failed: bool = False
    """Hidden: the module at the baseband end is dead."""
    far_sfp_failed: bool = False
    """Hidden: the module at the radio end is dead."""
    extra_loss_db: float = 0.0
    """Hidden: loss of a dirty or bent patch cable."""
    extra_loss_at_m: float = 0.0
    """Hidden: where that loss is, from the baseband end."""
    cleanable: bool = True
    """Hidden: whether cleaning cures the loss."""
    flapping: bool = False
    """Hidden: whether the extra loss comes and goes."""
    flap_down: bool = False
    """Hidden: whether it is down at the moment because of that."""
    under_test_until_s: int | None = None
    """When an interrupting test ends; None if none runs."""


@dataclass(frozen=True, slots=True)
class AntennaLine(Record):
    """One branch between radio unit and antenna."""

    ru_id: str
    """The radio unit."""
    branch: int
    """Branch, from 0; shown as letters."""
    healthy_vswr: float
    """Standing wave ratio as commissioned."""
    cable_loss_db: float
    """Loss of the cable."""
    vswr: float = 0.0
    """Hidden: true standing wave ratio in dry weather; 0 means `healthy_vswr`."""
    rain_sensitive: bool = False
    """Hidden: whether the ratio rises in rain."""
    fault_at_m: float = 0.0
    """Hidden: distance of the reflection."""
    disconnected: bool = False
    """Hidden: whether the jumper or feeder is off."""
    pim_dbm: float | None = None
    """Hidden: intermodulation at full load, dBm per resource block; None if there is none."""
    pim_when_wet: bool = False
    """Hidden: whether it is much weaker while it does not rain."""


@dataclass(frozen=True, slots=True)
class RetUnit(Record):
    """Remote electrical tilt of a cell's antenna."""

    cell_id: str
    """The cell."""
    jammed: bool = False
    """Hidden: the motor does not move."""
    uncalibrated: bool = False
    """Hidden: the reported tilt is not the true one."""


@dataclass(frozen=True, slots=True)
class ClockUnit(Record):
    """Synchronisation of a site; its nodes share it."""

    site_id: str
    """Where it stands."""
    provisioned: tuple[ClockSource, ...]
    """Sources that can be chosen."""
    source: ClockSource
    """Source chosen (configuration)."""
    drift_per_s: float
    """Hidden: fractional frequency error when holdover begins."""
    ageing_per_s2: float
    """Hidden: its growth, per second squared."""
    holdover_limit_h: float
    """Hours of holdover that the vendor promises."""
    state: ClockState = ClockState.LOCKED
    """Its state."""
    state_s: int = 0
    """When the state was entered."""
    phase_us: float = 0.0
    """Hidden: phase error while locked, or else at `lost_s`, in microseconds."""
    lost_s: int = 0
    """When holdover began."""
    locked_to: ClockSource | None = None
    """Source it is or was locked to; None for the one it was built with."""
    acquiring: ClockSource | None = None
    """Source it is locking to."""
    untrained: bool = False
    """Whether it was restarted in holdover."""
    antenna: Literal["ok", "open", "short"] = "ok"
    """Hidden: condition of the satellite antenna's cable."""
    jammed: bool = False
    """Hidden: satellite reception is jammed."""
    ptp_lost: bool = False
    """Hidden: no path to a time server."""
    satellites: int = 12
    """Satellites seen by a healthy antenna."""
    monitored: bool = True
    """Whether a second reference shows phase errors."""
    undetected_phase_us: float = 0.0
    """Hidden: phase error that the unit does not notice."""
    biased_source: ClockSource | None = None
    """Hidden: the source whose phase is wrong by `undetected_phase_us`; None if the unit itself is to blame."""
    expired: bool = False
    """Whether the phase has left its limit in holdover, or holdover has lasted longer than promised."""


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a router."""

    id: str
    """Name, for example `CSR-012-P1`."""
    link_id: str | None
    """The link behind it; None for the port towards the base station."""
    sfp_failed: bool = False
    """Hidden: the optical module is dead."""
    hung: bool = False
    """Hidden: disabled by an error, until reset."""
    restart_until_s: int | None = None
    """When a restart ends; None if none runs."""


@dataclass(frozen=True, slots=True)
class Router(Record):
    """A cell-site or aggregation router."""

    site_id: str | None
    """Where it stands; None for an aggregation site."""
    kind: Literal["CSR", "AGG"]
    """Cell-site or aggregation router."""
    ports: tuple[Port, ...]
    """Its ports."""
    active_path: Literal["primary", "secondary"] = "primary"
    """Way of the site's traffic to the core (configuration)."""
    mtu: int = 2000
    """Largest packet (configuration)."""
    vlan_id: int = 100
    """VLAN of control and user plane towards the base station (configuration)."""
    oam_vlan_id: int = 200
    """VLAN of the management plane (configuration)."""
    next_hop: str = ""
    """Gateway address (configuration)."""
    dscp_map: str = "EF:46,AF41:34,BE:0"
    """Marking of traffic classes (configuration)."""
    shaper_mbps: float = 0.0
    """Rate limit; 0 for none (configuration)."""
    failed: bool = False
    """Hidden: hardware fault."""
    hang: bool = False
    """Hidden: software fault that a restart cures."""
    restart_until_s: int | None = None
    """When a restart ends; None if none runs."""


@dataclass(frozen=True, slots=True)
class TransportLink(Record):
    """A hop between two routers."""

    a_id: str
    """Router nearer to the sites behind it."""
    b_id: str
    """Router nearer to the core."""
    kind: Literal["fibre_10ge", "fibre_1ge", "leased_line", "mw_18", "mw_23", "mw_80"]
    """Medium."""
    capacity_mbps: float
    """Capacity at best."""
    delay_ms: float
    """Delay without load."""
    length_km: float
    """Length."""
    role: Literal["primary", "secondary"]
    """Whether it is the planned path of `a_id` or its protection."""
    provider: str
    """Who operates it."""
    design_rsl_dbm: float | None = None
    """Received level of a microwave hop as commissioned."""
    cut: bool = False
    """Hidden: whether the fibre is cut."""
    cut_at_km: float = 0.0
    """Hidden: where, from `a_id`."""
    fade_db: float = 0.0
    """Hidden: loss of a microwave hop through rain or misalignment, at present."""
    misaligned_deg: float = 0.0
    """Hidden: misalignment of a dish."""
    spare_members: int = 0
    """Unused members of the link group."""
    members: int = 1
    """Members in use (configuration `lag_member`)."""
    growth: float = 1.0
    """Hidden: factor on the traffic it carries."""
    asymmetry_us: float = 0.0
    """Hidden: difference of the delays of the two directions."""
    under_test: bool = False
    """Whether an interrupting test runs on it."""


@dataclass(frozen=True, slots=True)
class CorePeer(Record):
    """A core node: MME or AMF, gateway or user plane function."""

    kind: Literal["MME", "AMF", "SGW", "UPF"]
    """What it is."""
    up: bool = True
    """Hidden: whether it works."""


@dataclass(frozen=True, slots=True)
class Cell(Record):
    """A cell."""

    site_id: str
    """Where its antenna stands."""
    node_id: str
    """The node it belongs to."""
    ru_id: str
    """The radio unit that radiates it."""
    board_id: str
    """The baseband board that computes it."""
    rat: Rat
    """Technology."""
    layer: str
    """Band, for example `L18`."""
    sector: int
    """Sector, from 1."""
    tdd: bool
    """Whether uplink and downlink share the carrier."""
    height_m: float
    """Height of the antenna above ground."""
    mechanical_tilt_deg: float
    """Mechanical tilt."""
    pci: int
    """Physical cell id (configuration)."""
    tac: int
    """Tracking area code (configuration)."""
    arfcn_dl: int
    """Downlink carrier number (configuration)."""
    bandwidth_mhz: float
    """Carrier bandwidth (configuration)."""
    root_sequence_index: int
    """First random-access root sequence (configuration)."""
    root_sequences: int
    """Root sequences it needs from there."""
    max_tx_power_dbm: float
    """Power of the carrier (configuration)."""
    electrical_tilt_deg: float
    """Electrical tilt (configuration)."""
    azimuth_deg: float
    """Planned direction of the antenna."""
    administrative_state: AdministrativeState = AdministrativeState.UNLOCKED
    """Whether the operator permits use."""
    cell_barred: bool = False
    """Whether idle users may not camp (configuration)."""
    q_rx_lev_min_dbm: int = -124
    """Weakest level at which users camp (configuration)."""
    a3_offset_db: float = 3.0
    """How much better a neighbour must be for a handover (configuration)."""
    ttt_ms: int = 320
    """For how long (configuration)."""
    cio_db: float = 0.0
    """Individual offset of the cell (configuration)."""
    max_connected_users: int = 400
    """Admission limit (configuration)."""
    load_balancing: bool = True
    """Whether load is balanced between layers (configuration)."""
    es_enabled: bool = False
    """Whether the cell may sleep to save energy (configuration)."""
    es_wake_threshold_pct: int = 30
    """Load of the coverage layer at which a sleeping cell wakes (configuration)."""
    endc_allowed: bool = True
    """Whether an LTE cell may anchor NR (configuration)."""
    ocns_enabled: bool = False
    """Whether artificial downlink load is on (configuration)."""
    rim_mitigation: bool = False
    """Whether remote interference is mitigated (configuration)."""
    tdd_pattern: str = ""
    """Uplink-downlink pattern (configuration)."""
    plmn_list: str = "001-01"
    """Networks served (configuration)."""
    snssai_list: str = "1"
    """Slices served (configuration)."""
    ul_prb_blacklist: str = ""
    """Uplink resource blocks not used, for example `30-36` (configuration)."""
    access_barring_mo_signalling: bool = False
    """Whether signalling of idle devices is barred (configuration)."""
    true_azimuth_deg: float | None = None
    """Hidden: where the antenna really points; None for `azimuth_deg`."""
    access_hung: bool = False
    """Hidden: the random-access process hangs, until the cell is locked and unlocked."""
    access_hang_on_board: bool = False
    """Hidden: the process runs on the board; only its restart cures the hang."""
    restart_until_s: int | None = None
    """When a restart ends; None if none runs."""
    demand_factor: float = 1.0
    """Hidden: factor on the demand of the cell's area."""
    compensation_for: str | None = None
    """The failed cell it helps out for; None if none."""


@dataclass(frozen=True, slots=True)
class Relation(Record):
    """A neighbour relation; its id is `SOURCE>TARGET`."""

    source_id: str
    """Source cell."""
    target_id: str
    """Target cell."""
    is_ho_allowed: bool = True
    """Whether handovers are allowed."""
    is_remove_allowed: bool = True
    """Whether automatic clean-up may remove it."""
    ext_pci: int | None = None
    """Physical cell id of the target as the source knows it; None if it is right."""
    ext_tac: int | None = None
    """Tracking area code of the target as the source knows it; None if it is right."""
    cio_db: float = 0.0
    """Offset of this relation (configuration)."""


@dataclass(frozen=True, slots=True)
class Emitter(Record):
    """Hidden: a source of interference outside the network."""

    x_m: float
    """Metres east."""
    y_m: float
    """Metres north."""
    layers: tuple[str, ...]
    """Bands it disturbs."""
    power_dbm: float
    """Level at 100 m, dBm per resource block."""
    first_prb: int
    """First resource block disturbed."""
    last_prb: int
    """Last resource block disturbed."""
    duty: float = 1.0
    """Share of time it transmits, 0-1."""
    since_s: int = 0
    """When it began."""
    silent: bool = False
    """Whether it does not transmit at present."""
