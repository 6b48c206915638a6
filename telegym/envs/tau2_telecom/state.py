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
            self._text = text = json.dumps(self.dump())
            return text

    def canonical(self) -> str:
        """Return the JSON text with sorted keys."""
        try:
            return self._canonical
        except AttributeError:
            self._canonical = text = json.dumps(self.dump(), sort_keys=True)
            return text


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


_NESTING = re.compile(r"tuple|dict|Address|PaymentMethod|PaymentRequest|ApnSettings|VpnDetails|AppPermissions")


@dataclass_transform(kw_only_default=True)
def record(cls: type[_R]) -> type[_R]:
    """Make a slotted dataclass with compiled `copy` and `dump`."""
    made = dataclass(slots=True, kw_only=True)(cls)
    names = [item.name for item in fields(cast(Any, made))]
    nested = {item.name for item in fields(cast(Any, made)) if _NESTING.search(str(item.type))}
    made.copy = _copier(made, names)  # type: ignore[method-assign]
    made.dump = _dumper(names, nested)  # type: ignore[method-assign]
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
    name: str
    data_limit_gb: float
    price_per_month: float
    data_refueling_price_per_gb: float


@record
class Device(Record):
    """A device as the carrier registers it (not the simulated phone)."""

    device_id: str
    device_type: DeviceType
    model: str
    imei: str | None = None
    is_esim_capable: bool
    activated: bool = False
    activation_date: OptionalMoment = None
    last_esim_transfer_date: OptionalMoment = None


@record
class Line(Record):
    """A phone line with its use of data."""

    line_id: str
    phone_number: str
    status: LineStatus = "Pending Activation"
    plan_id: str
    device_id: str | None = None
    data_used_gb: float = 0.0
    data_refueling_gb: float = 0.0
    roaming_enabled: bool = False
    contract_end_date: OptionalDate = None
    last_plan_change_date: OptionalDate = None
    last_sim_replacement_date: OptionalDate = None
    suspension_start_date: OptionalDate = None


@record
class LineItem(Record):
    """One entry of a bill: a positive amount charges, a negative one credits."""

    description: str
    amount: float
    date: DateText
    item_type: str


@record
class Bill(Record):
    """A bill of one customer."""

    bill_id: str
    customer_id: str
    period_start: DateText
    period_end: DateText
    issue_date: DateText
    total_due: float
    due_date: DateText
    line_items: tuple[LineItem, ...] = ()
    status: BillStatus = "Draft"


@record
class Address(Record):
    """A postal address."""

    street: str
    city: str
    state: str
    zip_code: str


@record
class PaymentMethod(Record):
    """How a customer pays."""

    method_type: MethodType
    account_number_last_4: str
    expiration_date: str


@record
class Customer(Record):
    """A customer, who owns lines and bills."""

    customer_id: str
    full_name: str
    date_of_birth: str
    email: str
    phone_number: str
    address: Address
    account_status: AccountStatus = "Pending Verification"
    payment_methods: tuple[PaymentMethod, ...] = ()
    line_ids: tuple[str, ...] = ()
    bill_ids: tuple[str, ...] = ()
    created_at: MomentText = "2025-01-01 00:00:00"
    last_extension_date: OptionalDate = None
    goodwill_credit_used_this_year: float = 0.0


@record
class ApnSettings(Record):
    """How the phone reaches the carrier's data and picture message services."""

    apn_name: ApnName = "internet"
    reset_at_reboot: bool = False
    mms_apn: str | None = "mms"
    mmsc_url: str | None = "http://mms.carrier.com/mms/wapenc"
    mms_proxy: str | None = None
    mms_port: int | None = None


@record
class VpnDetails(Record):
    """A VPN profile."""

    server_address: str | None = None
    protocol: str | None = None
    server_performance: Performance = "unknown"


@record
class AppPermissions(Record):
    """What an app may use."""

    sms: bool = False
    storage: bool = False
    phone: bool = False
    network: bool = False


@record
class AppStatus(Record):
    """An installed app."""

    app_name: str
    permissions: AppPermissions = field(default_factory=AppPermissions)


@record
class PaymentRequest(Record):
    """A bill the customer is asked to pay."""

    bill_id: str
    amount_due: float
    paid: bool = False


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
    sim_card_missing: bool = False
    airplane_mode: bool = False
    network_signal_strength: SignalStrength = "good"
    network_technology_connected: Technology = "5G"
    network_connection_status: NetworkStatus = "connected"
    battery_level: int = 80
    data_enabled: bool = True
    roaming_enabled: bool = False
    network_mode_preference: NetworkMode = "4g_5g_preferred"
    active_apn_settings: ApnSettings = field(default_factory=ApnSettings)
    wifi_enabled: bool = False
    wifi_connected: bool = False
    wifi_ssid: str | None = None
    wifi_signal_strength: SignalStrength = "none"
    wifi_calling_enabled: bool = False
    wifi_calling_mms_over_wifi: bool = False
    data_saver_mode: bool = False
    vpn_enabled_setting: bool = False
    vpn_connected: bool = False
    vpn_details: VpnDetails | None = None
    app_statuses: dict[str, AppStatus] = field(default_factory=_default_apps)


@record
class Surroundings(Record):
    """Where the user is, and what the carrier lets the phone know."""

    name: str | None = None
    phone_number: str | None = None
    is_abroad: bool = False
    roaming_allowed: bool = False
    signal_strength: dict[Technology, SignalStrength] = field(default_factory=_default_signal)
    mobile_data_usage_exceeded: bool = False
    line_active: bool = True
    payment_request: PaymentRequest | None = None


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
