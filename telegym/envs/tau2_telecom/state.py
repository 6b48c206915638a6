"""Records of the telecom world and the whole state, as persistent values.

A record is never changed once it is shared: a write makes a copy, changes the copy and puts it in place. So a state is
a value: keeping it costs nothing, and going back to it is one assignment. Every record caches its JSON text.

Dates are `YYYY-MM-DD`, moments `YYYY-MM-DD HH:MM:SS`, enumerations their string values: as they are written out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, cast, dataclass_transform

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from telegym.core.errors import TaskError, did_you_mean
from telegym.core.world import sha256_hex

__all__ = [
    "Address",
    "ApnSettings",
    "AppPermissions",
    "AppStatus",
    "Bill",
    "Customer",
    "Device",
    "Line",
    "LineItem",
    "PaymentMethod",
    "PaymentRequest",
    "Phone",
    "Plan",
    "Record",
    "Surroundings",
    "TelecomState",
    "VpnDetails",
    "evolve",
    "parse_record",
]

SimStatus = Literal["active", "missing", "locked_pin", "locked_puk"]
Technology = Literal["none", "2G", "3G", "4G", "5G"]
NetworkMode = Literal["4g_5g_preferred", "4g_only", "3g_only", "2g_only"]
SignalStrength = Literal["none", "poor", "fair", "good", "excellent"]
Performance = Literal["unknown", "poor", "fair", "good", "excellent"]
NetworkStatus = Literal["connected", "searching", "no_service", "emergency_only"]
ApnName = Literal["internet", "broken"]
LineStatus = Literal["Active", "Suspended", "Pending Activation", "Closed"]
BillStatus = Literal["Draft", "Issued", "Awaiting Payment", "Paid", "Overdue", "Disputed"]
AccountStatus = Literal["Active", "Suspended", "Pending Verification", "Closed"]
DeviceType = Literal["phone", "router", "tablet", "watch", "other"]
MethodType = Literal["Credit Card", "Debit Card", "PayPal"]

_R = TypeVar("_R", bound="Record")

_quoted = json.encoder.encode_basestring_ascii
_encode = json.JSONEncoder().encode
_encode_sorted = json.JSONEncoder(sort_keys=True).encode


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _date_text(value: Any) -> Any:
    return None if value is None else str(_adapter(date).validate_python(value))


def _moment_text(value: Any) -> Any:
    return None if value is None else str(_adapter(datetime).validate_python(value))


DateText = Annotated[str, BeforeValidator(_date_text)]
OptionalDate = Annotated[str | None, BeforeValidator(_date_text)]
MomentText = Annotated[str, BeforeValidator(_moment_text)]
OptionalMoment = Annotated[str | None, BeforeValidator(_moment_text)]


class Record:
    """Base of all records: copying, JSON text."""

    __slots__ = ("_canonical", "_text")
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    _canonical: str
    _text: str

    def copy(self) -> Self:
        """Return a copy that may be changed until it is shared."""
        raise NotImplementedError

    def dump(self) -> dict[str, Any]:
        """Return the fields as JSON values, in their order."""
        raise NotImplementedError

    def text(self) -> str:
        """Return the JSON text with the fields in their order."""
        try:
            return self._text
        except AttributeError:
            self._text = text = self._build_text()
            return text

    def canonical(self) -> str:
        """Return the JSON text with sorted keys."""
        try:
            return self._canonical
        except AttributeError:
            self._canonical = text = self._build_canonical()
            return text

    def _build_text(self) -> str:
        raise NotImplementedError

    def _build_canonical(self) -> str:
        raise NotImplementedError


def _dump(value: Any) -> Any:
    if isinstance(value, Record):
        return value.dump()
    if isinstance(value, tuple | list):
        return [_dump(item) for item in value]
    if isinstance(value, dict):
        return {key: _dump(item) for key, item in value.items()}
    return value


def _compiled(name: str, source: str, namespace: dict[str, Any]) -> Callable[..., Any]:
    exec(source, namespace)  # as dataclasses do: copying field by field is several times faster than a loop
    return cast(Callable[..., Any], namespace[name])


def _copier(cls: type, names: list[str]) -> Callable[..., Any]:
    lines = "".join(f"    new.{name} = self.{name}\n" for name in names)
    source = f"def copy(self):\n    new = create(cls)\n{lines}    return new\n"
    return _compiled("copy", source, {"create": object.__new__, "cls": cls})


def _dumper(names: list[str], nested: set[str]) -> Callable[..., Any]:
    items = ", ".join(f"{n!r}: dump_value(self.{n})" if n in nested else f"{n!r}: self.{n}" for n in names)
    return _compiled("dump", f"def dump(self):\n    return {{{items}}}\n", {"dump_value": _dump})


def _scalar(value: Any) -> str:
    """Return the JSON text of a value that holds no records."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if value is None:
        return "null"
    return _quoted(value) if type(value) is str else _encode(value)


def _nested_text(value: Any) -> str:
    if isinstance(value, Record):
        return value.text()
    if isinstance(value, tuple):
        return f"[{', '.join([_nested_text(item) for item in value])}]"
    if isinstance(value, dict):
        return f"{{{', '.join([f'{_quoted(key)}: {_nested_text(item)}' for key, item in value.items()])}}}"
    return _scalar(value)


def _nested_canonical(value: Any) -> str:
    if isinstance(value, Record):
        return value.canonical()
    if isinstance(value, tuple):
        return f"[{', '.join([_nested_canonical(item) for item in value])}]"
    if isinstance(value, dict):
        return f"{{{', '.join([f'{_quoted(key)}: {_nested_canonical(value[key])}' for key in sorted(value)])}}}"
    return _encode_sorted(value)


def _text_builder(names: list[str], nested: set[str], nesting: Callable[[Any], str]) -> Callable[..., Any]:
    items = ", ".join(f'"{n}": {{{"nesting" if n in nested else "scalar"}(self.{n})}}' for n in names)
    source = f"def build(self):\n    return f'{{{{{items}}}}}'\n"
    return _compiled("build", source, {"nesting": nesting, "scalar": _scalar})


_NESTING = re.compile(r"tuple|dict|Address|PaymentMethod|PaymentRequest|ApnSettings|VpnDetails|AppPermissions")


@dataclass_transform(kw_only_default=True)
def record(cls: type[_R]) -> type[_R]:
    """Make a slotted dataclass with compiled copying, dumping and JSON text."""
    made = dataclass(slots=True, kw_only=True)(cls)
    names = [item.name for item in fields(cast(Any, made))]
    nested = {item.name for item in fields(cast(Any, made)) if _NESTING.search(str(item.type))}
    made.copy = _copier(made, names)  # type: ignore[method-assign]
    made.dump = _dumper(names, nested)  # type: ignore[method-assign]
    made._build_text = _text_builder(names, nested, _nested_text)  # type: ignore[method-assign]
    made._build_canonical = _text_builder(sorted(names), nested, _nested_canonical)  # type: ignore[method-assign]
    return made


def evolve(original: _R, **changes: Any) -> _R:
    """Return a copy of a record with some fields replaced."""
    new = original.copy()
    for name, value in changes.items():
        setattr(new, name, value)
    return new


def parse_record(kind: type[_R], data: Any, where: str) -> _R:
    """Build a record from JSON values, with defaults and the lossless conversions of a strict model.

    Raises:
        TaskError: If a field is unknown, missing or of the wrong type; the message begins with `where`.
    """
    try:
        return cast(_R, _adapter(cast(Any, kind)).validate_python(data))
    except ValidationError as error:
        names = [item.name for item in fields(cast(Any, kind))]
        raise TaskError(f"{where}: {_explain(error, names)}") from error


def _explain(error: ValidationError, names: list[str]) -> str:
    parts = []
    for item in error.errors():
        place = ".".join(str(step) for step in item["loc"])
        if item["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
            parts.append(f"unknown field {place!r}.{did_you_mean(place, names)}")
        elif item["type"] == "missing":
            parts.append(f"field {place!r} is missing")
        else:
            parts.append(f"field {place!r}: {item['msg']}, not {item['input']!r}")
    return "; ".join(parts)


@record
class Plan(Record):
    """What a line may use, and for how much."""

    plan_id: str
    """Identifies the plan."""
    name: str
    """Name for customers."""
    data_limit_gb: float
    """Data included in a month."""
    price_per_month: float
    """Price in dollars."""
    data_refueling_price_per_gb: float
    """Price of a gigabyte beyond the limit, in dollars."""


@record
class Device(Record):
    """A device as the carrier registers it (not the simulated phone)."""

    device_id: str
    """Identifies the device."""
    device_type: DeviceType
    """Kind of device."""
    model: str
    """Model name."""
    imei: str | None = None
    """Hardware number."""
    is_esim_capable: bool
    """Whether it takes an eSIM."""
    activated: bool = False
    """Whether it is in use."""
    activation_date: OptionalMoment = None
    """When it was first used."""
    last_esim_transfer_date: OptionalMoment = None
    """When an eSIM was last moved to it."""


@record
class Line(Record):
    """A phone line with its use of data."""

    line_id: str
    """Identifies the line."""
    phone_number: str
    """Its number."""
    status: LineStatus = "Pending Activation"
    """Only an active line has service."""
    plan_id: str
    """Its plan."""
    device_id: str | None = None
    """Its device."""
    data_used_gb: float = 0.0
    """Data used in this cycle."""
    data_refueling_gb: float = 0.0
    """Data bought on top of the plan's limit."""
    roaming_enabled: bool = False
    """Whether the carrier lets it roam."""
    contract_end_date: OptionalDate = None
    """When its contract ends or ended."""
    last_plan_change_date: OptionalDate = None
    """When its plan was last changed."""
    last_sim_replacement_date: OptionalDate = None
    """When its SIM card was last replaced."""
    suspension_start_date: OptionalDate = None
    """Since when it is suspended."""


@record
class LineItem(Record):
    """One entry of a bill: a positive amount charges, a negative one credits."""

    description: str
    """What it is for."""
    amount: float
    """Dollars."""
    date: DateText
    """When it was entered."""
    item_type: str
    """Kind of entry, in free text."""


@record
class Bill(Record):
    """A bill of one customer."""

    bill_id: str
    """Identifies the bill."""
    customer_id: str
    """Who owes it."""
    period_start: DateText
    """First day it covers."""
    period_end: DateText
    """Last day it covers."""
    issue_date: DateText
    """When it was issued."""
    total_due: float
    """Dollars."""
    due_date: DateText
    """When it is to be paid."""
    line_items: tuple[LineItem, ...] = ()
    """Its entries."""
    status: BillStatus = "Draft"
    """Where it stands."""


@record
class Address(Record):
    """A postal address."""

    street: str
    """Street and number."""
    city: str
    """City."""
    state: str
    """State."""
    zip_code: str
    """Postal code."""


@record
class PaymentMethod(Record):
    """How a customer pays."""

    method_type: MethodType
    """Card or account."""
    account_number_last_4: str
    """Last four digits."""
    expiration_date: str
    """`MM/YYYY`."""


@record
class Customer(Record):
    """A customer, who owns lines and bills."""

    customer_id: str
    """Identifies the customer."""
    full_name: str
    """First and last name."""
    date_of_birth: str
    """`YYYY-MM-DD`."""
    email: str
    """E-mail address."""
    phone_number: str
    """Contact number; not necessarily one of the lines."""
    address: Address
    """Postal address."""
    account_status: AccountStatus = "Pending Verification"
    """Standing of the account."""
    payment_methods: tuple[PaymentMethod, ...] = ()
    """How the customer can pay."""
    line_ids: tuple[str, ...] = ()
    """The customer's lines."""
    bill_ids: tuple[str, ...] = ()
    """The customer's bills, in order of creation."""
    created_at: MomentText = "2025-01-01 00:00:00"
    """Since when a customer."""
    last_extension_date: OptionalDate = None
    """When a payment was last put off."""
    goodwill_credit_used_this_year: float = 0.0
    """Dollars."""


@record
class ApnSettings(Record):
    """How the phone reaches the carrier's data and picture message services."""

    apn_name: ApnName = "internet"
    """Access point; there is no service through a broken one."""
    reset_at_reboot: bool = False
    """Whether a reboot resets all of these."""
    mms_apn: str | None = "mms"
    """Access point for picture messages."""
    mmsc_url: str | None = "http://mms.carrier.com/mms/wapenc"
    """Address of the picture message centre; None blocks picture messages, an empty text does not."""
    mms_proxy: str | None = None
    """Proxy for picture messages."""
    mms_port: int | None = None
    """Port of that proxy."""


@record
class VpnDetails(Record):
    """A VPN profile."""

    server_address: str | None = None
    """Where the server is."""
    protocol: str | None = None
    """How it is spoken to."""
    server_performance: Performance = "unknown"
    """How good it is; a poor one slows data down tenfold."""


@record
class AppPermissions(Record):
    """What an app may use."""

    sms: bool = False
    """Send text messages."""
    storage: bool = False
    """Read files."""
    phone: bool = False
    """Make calls."""
    network: bool = False
    """Use data."""


@record
class AppStatus(Record):
    """An installed app."""

    app_name: str
    """Name of the app."""
    permissions: AppPermissions = field(default_factory=AppPermissions)
    """What it may use."""


@record
class PaymentRequest(Record):
    """A bill the customer is asked to pay."""

    bill_id: str
    """The bill."""
    amount_due: float
    """Dollars."""
    paid: bool = False
    """Whether the user has paid; the next sync tells the carrier."""


def _default_apps() -> dict[str, AppStatus]:
    messaging = AppPermissions(sms=True, storage=True, phone=True)
    browser = AppPermissions(storage=True, network=True)
    return {
        "messaging": AppStatus(app_name="messaging", permissions=messaging),
        "browser": AppStatus(app_name="browser", permissions=browser),
    }


def _default_signal() -> dict[Technology, SignalStrength]:
    return {"2G": "poor", "3G": "fair", "4G": "good", "5G": "excellent"}


class _PhoneCache(Record):
    __slots__ = ("_bar",)
    _bar: str


@record
class Phone(_PhoneCache):
    """The user's phone: its switches and what its last network search found."""

    sim_card_status: SimStatus = "active"
    """State of the SIM card when seated."""
    sim_card_missing: bool = False
    """Whether the SIM card is unseated."""
    airplane_mode: bool = False
    """Whether airplane mode is on."""
    network_signal_strength: SignalStrength = "good"
    """Signal found by the last search."""
    network_technology_connected: Technology = "5G"
    """Technology found by the last search."""
    network_connection_status: NetworkStatus = "connected"
    """Result of the last search."""
    battery_level: int = 80
    """Percent."""
    data_enabled: bool = True
    """Mobile data switch."""
    roaming_enabled: bool = False
    """The phone's own data roaming switch."""
    network_mode_preference: NetworkMode = "4g_5g_preferred"
    """Which technologies it searches for."""
    active_apn_settings: ApnSettings = field(default_factory=ApnSettings)
    """Access point settings in use."""
    wifi_enabled: bool = False
    """Wi-Fi switch."""
    wifi_connected: bool = False
    """Whether it is in a Wi-Fi network."""
    wifi_ssid: str | None = None
    """Name of that network."""
    wifi_signal_strength: SignalStrength = "none"
    """Signal of that network."""
    wifi_calling_enabled: bool = False
    """Wi-Fi calling switch."""
    wifi_calling_mms_over_wifi: bool = False
    """Whether Wi-Fi calling takes over picture messages, which breaks them; no tool shows it."""
    data_saver_mode: bool = False
    """Whether data saver is on, which slows data down fivefold."""
    vpn_enabled_setting: bool = False
    """Whether a VPN is set up; nothing changes it."""
    vpn_connected: bool = False
    """Whether a VPN is connected."""
    vpn_details: VpnDetails | None = None
    """The connected profile."""
    app_statuses: dict[str, AppStatus] = field(default_factory=_default_apps)
    """Installed apps by name."""


@record
class Surroundings(Record):
    """Where the user is, and what the carrier lets the phone know."""

    name: str | None = None
    """The user's name."""
    phone_number: str | None = None
    """Number of the phone's line: what links it to the carrier."""
    is_abroad: bool = False
    """Whether the user is outside the home network."""
    roaming_allowed: bool = False
    """Whether the carrier lets the line roam; written by the sync."""
    signal_strength: dict[Technology, SignalStrength] = field(default_factory=_default_signal)
    """Signal by technology where the user is."""
    mobile_data_usage_exceeded: bool = False
    """Whether the line's data is used up; written by the sync."""
    line_active: bool = True
    """Whether the line is active; written by the sync."""
    payment_request: PaymentRequest | None = None
    """The bill the carrier asks to pay, if any; written by the sync."""


_DEFAULT_VPN = VpnDetails(server_address="192.168.1.1", protocol="OpenVPN", server_performance="excellent")

_COLLECTIONS: tuple[tuple[str, type[Record], str], ...] = (
    ("plans", Plan, "plan_id"),
    ("customers", Customer, "customer_id"),
    ("lines", Line, "line_id"),
    ("bills", Bill, "bill_id"),
    ("devices", Device, "device_id"),
)


class TelecomState:
    """One state of the world: the carrier's records, the phone, its surroundings. A value, like every record.

    `copy()` gives a state that may be changed until it is shared; whoever replaces carrier records or surroundings
    clears `synced`, whoever replaces carrier records also calls `carrier_changed`. `TelecomWorld` has methods for that.
    """

    __slots__ = (
        "_carrier_hash",
        "bills",
        "customer_ids_by_number",
        "customers",
        "default_vpn",
        "devices",
        "line_ids_by_number",
        "lines",
        "phone",
        "plans",
        "surroundings",
        "synced",
    )

    plans: dict[str, Plan]
    """Plans by id, in their original order."""
    customers: dict[str, Customer]
    """Customers by id, in their original order."""
    lines: dict[str, Line]
    """Lines by id, in their original order."""
    bills: dict[str, Bill]
    """Bills by id, in order of creation."""
    devices: dict[str, Device]
    """Devices by id, in their original order."""
    phone: Phone
    """The user's phone."""
    surroundings: Surroundings
    """The user's surroundings."""
    default_vpn: VpnDetails
    """The profile `connect_vpn` uses; it stays poor once it was broken."""
    line_ids_by_number: dict[str, str]
    """The first line with each phone number."""
    customer_ids_by_number: dict[str, str]
    """The first customer with each number, be it a contact number or a line's."""
    synced: bool
    """Whether phone and carrier are known to agree."""

    def __init__(
        self,
        *,
        plans: dict[str, Plan],
        customers: dict[str, Customer],
        lines: dict[str, Line],
        bills: dict[str, Bill],
        devices: dict[str, Device],
        phone: Phone | None = None,
        surroundings: Surroundings | None = None,
        default_vpn: VpnDetails = _DEFAULT_VPN,
    ) -> None:
        self.plans = plans
        self.customers = customers
        self.lines = lines
        self.bills = bills
        self.devices = devices
        self.phone = phone or Phone()
        self.surroundings = surroundings or Surroundings()
        self.default_vpn = default_vpn
        self.line_ids_by_number = _first_by_number((line.phone_number, line.line_id) for line in lines.values())
        self.customer_ids_by_number = _first_by_number(_customer_numbers(customers, lines))
        self.synced = False
        self._carrier_hash: list[str] = []

    @classmethod
    def from_records(cls, agent: Mapping[str, Any], user: Mapping[str, Any] | None = None) -> Self:
        """Build a state from JSON records in the shapes of tau2-bench.

        Args:
            agent: Lists `plans`, `customers`, `lines`, `bills`, `devices`; each may be absent.
            user: `device` and `surroundings`; each may be absent and then takes its defaults.

        Raises:
            TaskError: If a record has unknown, missing or mistyped fields, or an id occurs twice.
        """
        _check_keys(agent, [name for name, _, _ in _COLLECTIONS], "carrier records")
        user = user or {}
        _check_keys(user, ["device", "surroundings"], "user records")
        collections: dict[str, Any] = {n: _parse_all(kind, agent.get(n), n, key) for n, kind, key in _COLLECTIONS}
        phone = parse_record(Phone, user["device"], "device") if user.get("device") is not None else None
        around = user.get("surroundings")
        surroundings = parse_record(Surroundings, around, "surroundings") if around is not None else None
        return cls(phone=phone, surroundings=surroundings, **collections)

    def copy(self) -> Self:
        """Return a copy that may be changed until it is shared."""
        raise NotImplementedError

    def carrier_changed(self) -> None:
        """Forget what was derived from the carrier's records; for a copy, after changing them."""
        self.synced = False
        self._carrier_hash = []

    def agent_dump(self) -> dict[str, Any]:
        """Return the carrier's records as JSON values."""
        return {name: [item.dump() for item in getattr(self, name).values()] for name, _, _ in _COLLECTIONS}

    def user_dump(self) -> dict[str, Any]:
        """Return phone and surroundings as JSON values."""
        return {"device": self.phone.dump(), "surroundings": self.surroundings.dump()}

    def agent_hash(self) -> str:
        """Return the hash of the carrier's records, as tau2-bench computes it."""
        box = self._carrier_hash  # shared by all states with the same carrier records
        if not box:
            box.append(sha256_hex(self._agent_canonical()))
        return box[0]

    def user_hash(self) -> str:
        """Return the hash of phone and surroundings, as tau2-bench computes it."""
        return sha256_hex(f'{{"device": {self.phone.canonical()}, "surroundings": {self.surroundings.canonical()}}}')

    def hash(self) -> str:
        """Return the digest over both hashes of tau2-bench and the default VPN profile."""
        return sha256_hex(f"{self.agent_hash()} {self.user_hash()} {self.default_vpn.canonical()}")

    def _agent_canonical(self) -> str:
        parts = []
        for name in ("bills", "customers", "devices", "lines", "plans"):
            texts = ", ".join([item.canonical() for item in getattr(self, name).values()])
            parts.append(f'"{name}": [{texts}]')
        return f"{{{', '.join(parts)}}}"


TelecomState.copy = _copier(TelecomState, list(TelecomState.__slots__))  # type: ignore[method-assign]


def _first_by_number(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, identifier in pairs:
        found.setdefault(number, identifier)
    return found


def _customer_numbers(customers: Mapping[str, Customer], lines: Mapping[str, Line]) -> Iterator[tuple[str, str]]:
    for customer in customers.values():
        yield customer.phone_number, customer.customer_id
        for line_id in customer.line_ids:
            if line_id in lines:
                yield lines[line_id].phone_number, customer.customer_id


def _check_keys(data: Any, names: list[str], what: str) -> None:
    if not isinstance(data, Mapping):
        raise TaskError(f"{what} must be a mapping with {', '.join(names)}, not {data!r:.80}")
    for name in data:
        if name not in names:
            hint = did_you_mean(str(name), names)
            raise TaskError(f"{what}: unknown part {name!r}; valid: {', '.join(names)}.{hint}")


def _parse_all(kind: type[_R], items: Any, name: str, key: str) -> dict[str, _R]:
    if items is not None and not isinstance(items, list | tuple):
        raise TaskError(f"{name} must be a list of records, not {items!r:.80}")
    found: dict[str, _R] = {}
    for index, item in enumerate(items or ()):
        parsed = parse_record(kind, item, f"{name}[{index}]")
        identifier = getattr(parsed, key)
        if identifier in found:
            raise TaskError(f"{name}[{index}]: {key} {identifier!r} occurs twice")
        found[identifier] = parsed
    return found
