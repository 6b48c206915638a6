"""Comparing this simulator with recorded traces of tau2-bench, call by call.

Two formats are read, one JSON object a line (also gzipped). *Traces* hold the whole user state and the changed carrier
records after every call, the text of every answer and the assertions at the end. *Vectors* hold hashes of both sides,
what the phone shows, and the reward. A file may mix them.

What is compared:

- before the first call: the user state and the carrier records that differ from the initial ones (vectors: both hashes
  and the observables), and the assertions where they were recorded;
- after every call: the error flag; the whole user state and the changed carrier records, every field, types included
  (vectors: both hashes and the observables); the answer;
- at the end: every assertion (vectors: the reward and its parts).

Answers of failed calls are compared by their flag alone: their texts are our own. Answers that are JSON are compared
value by value; of a `message` field only the ids, numbers and prices count. Other answers are compared by what they
state, see `stated`: labelled values (`Status Bar: …`, `Airplane Mode: ON`, …), switches, ids, amounts,
permission lists, network modes, which of several outcomes it was. The words around them are our own.

Ids of bills that the carrier invents (`B` and eight hexadecimal digits) are random in the recordings; each is
identified with ours at the same place, everything else about such a bill is compared.
"""

from __future__ import annotations

import gzip
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from telegym.core.errors import TaskError
from telegym.core.task import Task
from telegym.core.world import diff_states
from telegym.envs.tau2_telecom import phone
from telegym.envs.tau2_telecom.benchmark import Tau2Benchmark, build_world, parse_task_id
from telegym.envs.tau2_telecom.composition import FAMILIES, compositions, goal, situation, solution
from telegym.envs.tau2_telecom.faults import Subject
from telegym.envs.tau2_telecom.state import TelecomState
from telegym.envs.tau2_telecom.world import TelecomWorld

__all__ = ["Mismatch", "VerificationReport", "stated", "verify_traces"]

_KEPT_MISMATCHES = 1000
_HASH_DIGITS = 16


class Mismatch(NamedTuple):
    """One difference from a recording."""

    file: str
    """File of the recording."""
    trace: int
    """Number of the trace in its file, from 0."""
    task_id: str
    """The task that was played."""
    step: int | None
    """Number of the call, from 0; -1 for the initial state, None for the end."""
    what: str
    """What differs, for example `error`, `user.device.data_enabled`, `content.Status Bar`."""
    expected: Any
    """What was recorded."""
    got: Any
    """What this simulator gives."""


@dataclass(slots=True)
class VerificationReport:
    """How a verification went."""

    traces: int = 0
    """Traces and vectors replayed."""
    calls: int = 0
    """Tool calls replayed."""
    comparisons: int = 0
    """Things compared."""
    by_kind: Counter[str] = field(default_factory=Counter)
    """Comparisons by kind."""
    rebuilt: int = 0
    """Recordings of tasks that the data folder lacks: made from what their ids say."""
    skipped: Counter[str] = field(default_factory=Counter)
    """What could not be compared, and how often, by reason."""
    mismatch_count: int = 0
    """Differences found."""
    mismatches: list[Mismatch] = field(default_factory=list)
    """The first thousand differences."""

    @property
    def passed(self) -> bool:
        """Whether something was compared and nothing differed."""
        return self.comparisons > 0 and self.mismatch_count == 0

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "passed": self.passed,
            "traces": self.traces,
            "calls": self.calls,
            "comparisons": self.comparisons,
            "by_kind": dict(self.by_kind),
            "rebuilt": self.rebuilt,
            "skipped": dict(self.skipped),
            "mismatch_count": self.mismatch_count,
            "mismatches": [mismatch._asdict() for mismatch in self.mismatches],
        }


def verify_traces(data: str | Path | Tau2Benchmark, traces: Iterable[str | Path]) -> VerificationReport:
    """Replay recorded traces and compare.

    Args:
        data: A tau2-bench data folder, see `Tau2Benchmark`, or one that was read already. A published task that it
            lacks is made from its id.
        traces: Files of traces or vectors, plain or gzipped.

    Raises:
        TaskError: If the data folder or a file cannot be read.
    """
    benchmark = data if isinstance(data, Tau2Benchmark) else Tau2Benchmark(data)
    report = VerificationReport()
    for path in traces:
        for index, record in enumerate(_read_lines(Path(path))):
            _Replay(benchmark, report, str(path), index, record).run()
    return report


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _parse_line(line, f"{path}, line {number}")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise TaskError(f"{path}: cannot be read: {error}") from error


def _parse_line(line: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise TaskError(f"{where}: not JSON: {error}") from error
    if not isinstance(record, dict) or not {"task_id", "steps"} <= record.keys():
        raise TaskError(f"{where}: not a trace: an object with 'task_id' and 'steps' is expected")
    if not {"initial", "init"} & record.keys():
        raise TaskError(f"{where}: a trace has 'initial' (states) or 'init' (calls and hashes); this has neither")
    return record


class _Replay:
    """One recording, played again."""

    def __init__(
        self, benchmark: Tau2Benchmark, report: VerificationReport, file: str, index: int, record: dict[str, Any]
    ) -> None:
        self.report = report
        self.record = record
        self.place = (file, index, str(record["task_id"]))
        self.initial = benchmark.initial_state
        self.task = self._find_task(benchmark)
        self.step: int | None = -1
        self.names: dict[str, str] = {}
        self.world: TelecomWorld

    def _find_task(self, benchmark: Tau2Benchmark) -> Task | None:
        task_id = self.record["task_id"]
        if task_id in benchmark.tasks:
            return benchmark.tasks.by_id(task_id)
        task = _rebuilt_task(task_id) if isinstance(task_id, str) else None
        if task is not None:
            self.report.rebuilt += 1
        return task

    def run(self) -> None:
        """Play and compare."""
        self.report.traces += 1
        try:
            if "initial" in self.record:
                self._run_trace()
            else:
                self._run_vector()
        except TaskError as error:
            self._differs("replay", None, str(error))

    def _run_trace(self) -> None:
        if self.task is None:
            raise TaskError("the data folder has no such task, and its id does not say what it is")
        self.world = build_world(self.initial, self.task)
        self._compare_state(self.record["initial"])
        if self.record.get("assertions_before") is not None:
            self._compare("assertions before", self._assertions(self.world.fork()), self.record["assertions_before"])
        for index, step in enumerate(self.record["steps"]):
            self.step = index
            content = self._call(step["requestor"], step["name"], step["arguments"], step["error"])
            self._compare_state(step)
            self._compare_content(step, content)
        self.step = None
        if self.record.get("assertions") is not None:
            self._compare("assertions", self._assertions(self.world), self.record["assertions"])

    def _run_vector(self) -> None:
        self.world = TelecomWorld(self.initial)
        for target, name, arguments in self.record["init"]:
            self.world.run(target, name, arguments)
        self._compare_vector(self.record["init_hash"], self.record["init_obs"])
        for index, step in enumerate(self.record["steps"]):
            self.step = index
            requestor, name, arguments = step["call"]
            self._call(requestor, name, arguments, step["error"])
            self._compare_vector(step["hash"], step["obs"])
        self.step = None
        if self.task is None:
            self.report.skipped["reward: unknown task"] += 1
            return
        breakdown = self._reward(self.task)
        self._compare("reward", math.prod(breakdown.values()), self.record["reward_if_stopped_now"])
        self._compare("reward parts", breakdown, self.record["reward_breakdown"] or breakdown)

    def _call(self, requestor: str, name: str, arguments: dict[str, Any], expected_error: bool) -> str:
        self.report.calls += 1
        content, error = self.world.call_unchecked(requestor, name, self._renamed(arguments))
        self._compare("error", error, expected_error)
        return content

    def _compare_state(self, expected: dict[str, Any]) -> None:
        changed = _changed_records(self.initial, self.world.state)
        self._identify(expected["agent_changed"], changed)
        self._compare("user", self.world.user_dump(), expected["user"])
        self._compare("agent", _uniform_moments(changed), _uniform_moments(expected["agent_changed"]))

    def _identify(self, expected: dict[str, Any], got: dict[str, Any]) -> None:
        """Pair the invented bill ids of the recording with ours, in their order."""
        ours = [bill["bill_id"] for bill in got.get("bills", ()) if _INVENTED.fullmatch(bill["bill_id"])]
        theirs = [bill["bill_id"] for bill in expected.get("bills", ()) if _INVENTED.fullmatch(bill["bill_id"])]
        self.names.update(zip(theirs, ours, strict=False))

    def _renamed(self, value: Any) -> Any:
        if not self.names:
            return value
        text = json.dumps(value)
        for theirs, ours in self.names.items():
            text = text.replace(theirs, ours)
        return json.loads(text)

    def _compare_content(self, step: dict[str, Any], got: str) -> None:
        if step["error"]:
            return
        expected = self._renamed(step["content"])
        self._compare("content", stated(step["name"], got), stated(step["name"], expected))

    def _compare_vector(self, hashes: list[str], observables: dict[str, Any]) -> None:
        state = self.world.state
        self._compare("agent hash", state.agent_hash()[:_HASH_DIGITS], hashes[0][:_HASH_DIGITS])
        self._compare("user hash", state.user_hash()[:_HASH_DIGITS], hashes[1][:_HASH_DIGITS])
        self._compare("observables", _observables(state), observables)

    def _assertions(self, world: TelecomWorld) -> list[bool]:
        assert self.task is not None
        return [world.run(item.target, item.name, item.arguments) == item.expected for item in self.task.assertions]

    def _reward(self, task: Task) -> dict[str, float]:
        """Return the parts of the official reward if the agent stopped now."""
        breakdown = {"ENV_ASSERTION": float(all(self._assertions(self.world)))}
        if "ACTION" in task.data["reward_basis"]:
            calls = [(step["call"][1], step["call"][2]) for step in self.record["steps"]]
            matched = [any(_matches(action, name, given) for name, given in calls) for action in task.actions]
            breakdown["ACTION"] = float(all(matched))
        return breakdown

    def _compare(self, what: str, got: Any, expected: Any) -> None:
        self.report.comparisons += 1
        self.report.by_kind[what] += 1
        for path, before, after in diff_states(self._renamed(expected), got, what):
            if not (_is_nan(before) and _is_nan(after)):
                self._differs(path, before, after)

    def _differs(self, what: str, expected: Any, got: Any) -> None:
        self.report.mismatch_count += 1
        if len(self.report.mismatches) < _KEPT_MISMATCHES:
            self.report.mismatches.append(Mismatch(*self.place, self.step, what, expected, got))


_INVENTED = re.compile(r"B[0-9a-f]{8}")


_PUBLISHED = Subject(
    customer_id="C1001",
    line_id="L1002",
    name="John Smith",
    phone_number="555-123-2002",
    bill_id="B1234321",
    data_limit_gb=15.0,
)
"""Whom all published tasks are about."""


def _rebuilt_task(task_id: str) -> Task | None:
    """Return a published task by what its id says, or None for an id that is not of that form."""
    family, persona, faults = parse_task_id(task_id)
    if family not in FAMILIES or persona is None:
        return None
    composition = next((c for c in compositions(family) if c.faults == tuple(faults)), None)
    if composition is None:
        return None
    failure = composition.expected_failure
    return Task(
        id=task_id,
        ticket="",
        initialization=situation(composition, _PUBLISHED),
        actions=solution(composition, _PUBLISHED, ""),
        assertions=goal(composition, _PUBLISHED),
        data={"reward_basis": ["ENV_ASSERTION", "ACTION"] if failure else ["ENV_ASSERTION"]},
    )


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _matches(action: Any, name: str, arguments: Mapping[str, Any]) -> bool:
    keys = arguments.keys() if action.compare_arguments is None else set(action.compare_arguments)
    chosen = {key: value for key, value in arguments.items() if key in keys}
    return name == action.name and chosen == {key: v for key, v in action.arguments.items() if key in keys}


def _changed_records(initial: TelecomState, state: TelecomState) -> dict[str, list[dict[str, Any]]]:
    """Return the carrier records that differ from the initial ones."""
    changed = {}
    for name in ("plans", "customers", "lines", "bills", "devices"):
        before, after = getattr(initial, name), getattr(state, name)
        differing = [item.dump() for key, item in after.items() if item != before.get(key)]
        if differing:
            changed[name] = differing
    return changed


_MOMENTS = ("created_at", "activation_date", "last_esim_transfer_date")


def _uniform_moments(changed: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Separate date and time by a blank everywhere: recorded records use the letter T, answers and hashes do not."""
    return {
        name: [
            {key: v.replace("T", " ") if key in _MOMENTS and isinstance(v, str) else v for key, v in record.items()}
            for record in records
        ]
        for name, records in changed.items()
    }


def _observables(state: TelecomState) -> dict[str, Any]:
    speed, description = phone.speed_test(state.phone, state.surroundings)
    return {
        "conn": state.phone.network_connection_status,
        "tech": state.phone.network_technology_connected,
        "sig": state.phone.network_signal_strength,
        "speed": speed,
        "desc": description,
        "mms": phone.can_send_mms(state.phone, state.surroundings),
    }


# --- what an answer states ----------------------------------------------------------------------------------------

_LABELLED = re.compile(
    r"^(Status Bar|Airplane Mode|SIM Card Status|Cellular Connection|Cellular Signal|Cellular Network Type"
    r"|Mobile Data Enabled|Data Roaming Enabled|Wi-Fi Radio|Wi-Fi Connected|Connected Wi-Fi Network|Current APN Name"
    r"|MMSC URL \(for picture messages\)|Network Mode Preference|Preferred Network Mode set to|APN settings set to"
    r"|Status for App): (.*)$",
    re.MULTILINE,
)
_VALUES = re.compile(r"\b[A-Z]\d+\b|\$?\d+(?:\.\d+)?(?:e[+-]?\d+)?|\b(?:nan|inf)\b")
_SWITCH = re.compile(r"\b(ON|OFF)\b")
_SPEED = re.compile(r"([\d.]+) Mbps \(([A-Za-z ]+)\)|failed: (No Connection)")
_PAYMENT = re.compile(r"\b(B\w+)\b|\b([\d.]+(?:e[+-]?\d+)?|nan|inf) USD")
_LISTED = re.compile(r"^\s+- (\w+)$", re.MULTILINE)
_MODE = re.compile(r"\b(?:4g_5g_preferred|[234]g_only)\b")
_PERMISSION = re.compile(r"\b(?:sms|storage|phone|network)\b")
_VPN_DETAILS = re.compile(r"\{.*\}")


def _switch(text: str) -> Any:
    """ON or OFF, or neither: then the switch could not be moved."""
    found = _SWITCH.search(text.partition("\nStatus Bar:")[0])
    return found[1] if found else None


def _wifi(text: str) -> Any:
    head = text.partition("\nStatus Bar:")[0]
    if "irplane" in head:
        return "refused"
    connected = "not connected" not in head and "connected" in head
    return [_switch(head), re.findall(r"(?:connected to|SSID:?) '?([^',]+)", head, re.IGNORECASE) if connected else []]


def _sim(text: str) -> str:
    states = (
        ("PIN", r"\bPIN\b"),
        ("PUK", r"\bPUK\b"),
        ("missing", r"\b[Nn]o(?:ne| SIM)?\b"),
        ("active", r"\bactive\b"),
    )
    return next((name for name, pattern in states if re.search(pattern, text)), "unknown")


def _vpn(text: str) -> Any:
    details = _VPN_DETAILS.search(text)
    return [_switch(text), details[0] if details else None]


def _permissions(text: str) -> Any:
    if "not found" in text:
        return "not found"
    return _PERMISSION.findall(text.rpartition(":")[2]) if ":" in text else []


def _app_status(text: str) -> Any:
    return "not found" if "not found" in text else [name for name in _LISTED.findall(text) if name.lower() != "none"]


def _grant(text: str) -> Any:
    head = text.partition("\nStatus Bar:")[0]
    if head.startswith("Success. "):
        return ["granted", *re.findall(r"'([^']*)'", head)]
    if not head.startswith("Error. "):
        return head
    return ["refused", "app" if "not found" in head else _PERMISSION.findall(head.partition("available")[2])]


def _mode(text: str) -> Any:
    return _MODE.findall(text.partition("\nStatus Bar:")[0])


def _payment(text: str) -> Any:
    return [bill or amount for bill, amount in _PAYMENT.findall(text)]


_STATED: dict[str, Callable[[str], Any]] = {
    "set_network_mode_preference": _mode,
    "check_network_mode_preference": _mode,
    "run_speed_test": lambda text: [part for group in _SPEED.findall(text) for part in group if part],
    "toggle_airplane_mode": _switch,
    "check_sim_status": _sim,
    "toggle_data": _switch,
    "toggle_roaming": _switch,
    "check_data_restriction_status": _switch,
    "toggle_data_saver_mode": _switch,
    "reset_apn_settings": lambda text: "APN" in text,
    "check_wifi_status": _wifi,
    "toggle_wifi": _wifi,
    "check_wifi_calling_status": _switch,
    "toggle_wifi_calling": _switch,
    "check_vpn_status": _vpn,
    "connect_vpn": lambda text: "already" not in text,
    "disconnect_vpn": lambda text: re.match(r"No\b", text) is None,
    "check_installed_apps": lambda text: text.partition(": ")[2].split(", "),
    "check_app_status": _app_status,
    "check_app_permissions": _permissions,
    "grant_app_permission": _grant,
    "can_send_mms": lambda text: "cannot" not in text,
    "reboot_device": lambda text: "APN" in text.partition("\nStatus Bar:")[0],
    "check_payment_request": _payment,
    "make_payment": _payment,
    "send_payment_request": _payment,
    "enable_roaming": lambda text: "already" not in text,
    "disable_roaming": lambda text: "already" not in text,
}


def stated(name: str, content: str) -> Any:
    """Return what the answer of a tool states, apart from its wording.

    Args:
        name: Name of the tool.
        content: The answer of a call that did not fail, of the original or of ours.

    Returns:
        The JSON value for an answer that is JSON; otherwise the labelled values by label, and under `states` what else
        the answer of this tool says.
    """
    if content[:1] in "{[":
        return _json_value(content)
    labelled: dict[str, Any] = dict(_LABELLED.findall(content))
    special = _STATED.get(name)
    if special is not None:
        labelled["states"] = special(content)
        if name == "toggle_airplane_mode":
            labelled.pop("Airplane Mode", None)  # ours is labelled, the original's is a sentence: see `states`
    return labelled


def _json_value(content: str) -> Any:
    try:
        value = json.loads(content)
    except ValueError:
        return content
    if isinstance(value, dict) and isinstance(value.get("message"), str):
        value["message"] = _VALUES.findall(value["message"])
    return value
