from __future__ import annotations

import copy
import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from telegym.core.errors import TaskError
from telegym.envs.tau2_telecom.benchmark import Tau2Benchmark
from telegym.envs.tau2_telecom.verify import stated, verify_traces


def records(path: Path) -> list[dict[str, Any]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="module")
def benchmark(tau2_data: Path) -> Tau2Benchmark:
    return Tau2Benchmark(tau2_data)


@pytest.fixture(scope="module")
def traces(tau2_traces: Path) -> list[dict[str, Any]]:
    return records(tau2_traces / "traces.jsonl.gz")


@pytest.fixture(scope="module")
def vectors(tau2_traces: Path) -> list[dict[str, Any]]:
    return records(tau2_traces / "vectors.jsonl")


def test_every_recording_agrees(tau2_data: Path, tau2_traces: Path, traces: list[Any], vectors: list[Any]) -> None:
    report = verify_traces(tau2_data, [tau2_traces / "traces.jsonl.gz", tau2_traces / "vectors.jsonl"])
    assert report.mismatches == []
    assert report.passed
    assert report.traces == len(traces) + len(vectors)
    assert report.calls == sum(len(record["steps"]) for record in traces + vectors)
    assert report.by_kind["user"] == sum(len(record["steps"]) + 1 for record in traces)


def replay(benchmark: Tau2Benchmark, tmp_path: Path, record: dict[str, Any]) -> list[str]:
    """Return what differs from a recording."""
    file = tmp_path / "one.jsonl"
    file.write_text(f"{json.dumps(record)}\n")
    report = verify_traces(benchmark, [file])
    assert report.mismatch_count == len(report.mismatches)
    assert report.to_dict()["passed"] is (not report.mismatches)
    return [f"{mismatch.step}:{mismatch.what}" for mismatch in report.mismatches]


def find(traces: list[dict[str, Any]], name: str, text: str = "") -> tuple[dict[str, Any], int]:
    """Return a copy of a recording with a successful call of a tool, and where that call is."""
    for record in traces:
        for index, step in enumerate(record["steps"]):
            if step["name"] == name and not step["error"] and text in step["content"]:
                return copy.deepcopy(record), index
    pytest.skip(f"no recorded call of {name} that answers {text!r}")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("check_status_bar", "🔋 80%", "🔋 79%"),
        ("toggle_data", "OFF", "ON"),
        ("toggle_airplane_mode", "now ON", "now OFF"),
        ("toggle_wifi", "now ON", "now OFF"),
        ("check_network_status", "SIM Card Status: active", "SIM Card Status: missing"),
        ("check_network_status", "Wi-Fi Radio: OFF", "Wi-Fi Radio: ON"),
        ("check_network_mode_preference", "2g_only", "3g_only"),
        ("set_network_mode_preference", "4g_only", "3g_only"),
        ("check_sim_status", "No SIM card", "active"),
        ("check_sim_status", "PIN", "PUK"),
        ("check_apn_settings", "Not Set", "http://example.org"),
        ("set_apn_settings", "broken", "internet"),
        ("check_vpn_status", "poor", "excellent"),
        ("check_vpn_status", "OpenVPN", "WireGuard"),
        ("connect_vpn", "already connected", "connected"),
        ("disconnect_vpn", "No active VPN connection to disconnect", "Disconnected"),
        ("check_app_permissions", "sms, ", ""),
        ("check_app_status", "   - sms\n", ""),
        ("check_installed_apps", "browser", "camera"),
        ("grant_app_permission", "Success. ", "Error. "),
        ("grant_app_permission", "'storage'", "'sms'"),
        ("can_send_mms", "cannot", "can"),
        ("run_speed_test", "275.00", "274.00"),
        ("run_speed_test", "Excellent", "Good"),
        ("reboot_device", "Resetting APN settings...\n", ""),
        ("check_payment_request", "150.0", "150.5"),
        ("make_payment", "B1002", "B1003"),
        ("send_payment_request", "B1002", "B1003"),
        ("enable_roaming", "already", "newly"),
        ("get_data_usage", '"8.7"', "8.7"),
        ("get_details_by_id", "9", "8"),
        ("get_bills_for_customer", "150.0", "150"),
        ("get_customer_by_phone", "C1001", "C1002"),
        ("refuel_data", "$4.00", "$4.01"),
        ("suspend_line", "Suspended", "Active"),
    ],
)
def test_a_changed_answer_is_noticed(
    benchmark: Tau2Benchmark, tmp_path: Path, traces: list[Any], name: str, old: str, new: str
) -> None:
    record, index = find(traces, name, old)
    assert replay(benchmark, tmp_path, record) == []
    record["steps"][index]["content"] = record["steps"][index]["content"].replace(old, new)
    differences = replay(benchmark, tmp_path, record)
    assert differences
    assert all(difference.startswith(f"{index}:content") for difference in differences)


def test_other_words_are_no_difference(benchmark: Tau2Benchmark, tmp_path: Path, traces: list[Any]) -> None:
    record, index = find(traces, "suspend_line")
    step = record["steps"][index]
    step["content"] = step["content"].replace("holding fee", "charge")
    record["steps"].append({**copy.deepcopy(record["steps"][-1]), "error": True, "name": "x", "content": "Error: ?"})
    assert replay(benchmark, tmp_path, record) == []


def test_every_kind_of_state_is_compared(benchmark: Tau2Benchmark, tmp_path: Path, traces: list[Any]) -> None:
    record, index = find(traces, "refuel_data")

    def differences(change: Any) -> list[str]:
        changed = copy.deepcopy(record)
        change(changed)
        return replay(benchmark, tmp_path, changed)

    def flip(values: dict[str, Any], key: str) -> None:
        values[key] = not values[key]

    step = f"{index}:"
    assert differences(lambda r: flip(r["steps"][index], "error"))[0] == f"{step}error"
    assert differences(lambda r: flip(r["steps"][index]["user"]["device"], "wifi_calling_enabled")) == [
        f"{step}user.device.wifi_calling_enabled"
    ]
    assert differences(lambda r: r["steps"][index]["user"]["device"].update(battery_level=80.0)) == [
        f"{step}user.device.battery_level"
    ]
    assert differences(lambda r: r["steps"][index]["agent_changed"]["bills"][0].update(total_due=0.25)) == [
        f"{step}agent.bills.0.total_due"
    ]
    assert differences(lambda r: r["steps"][index]["agent_changed"].pop("lines")) == [f"{step}agent.lines"]
    assert differences(lambda r: flip(r["initial"]["user"]["surroundings"], "is_abroad")) == [
        "-1:user.surroundings.is_abroad"
    ]
    assert differences(lambda r: r["assertions"].__setitem__(0, not r["assertions"][0])) == ["None:assertions.0"]
    before = [False] * len(record["assertions"])
    assert differences(lambda r: r.update(assertions_before=[*before, True])) == ["-1:assertions before"]


def test_hashes_observables_and_rewards_are_compared(
    benchmark: Tau2Benchmark, tmp_path: Path, vectors: list[Any]
) -> None:
    scored = [v for v in vectors if replay(benchmark, tmp_path, {**v, "reward_if_stopped_now": 7.0})]
    assert scored
    vector = scored[0]
    changed = copy.deepcopy(vector)
    changed["steps"][0]["hash"][1] = "0" * 16
    changed["steps"][1]["obs"]["speed"] = 1.0
    changed["steps"][2]["error"] = not changed["steps"][2]["error"]
    changed["init_hash"][0] = "1" * 16
    assert replay(benchmark, tmp_path, changed) == [
        "-1:agent hash",
        "0:user hash",
        "1:observables.speed",
        "2:error",
    ]
    parts = {**vector["reward_breakdown"], "ENV_ASSERTION": 0.5}
    assert replay(benchmark, tmp_path, {**vector, "reward_breakdown": parts}) == ["None:reward parts.ENV_ASSERTION"]


def test_invented_bill_ids_are_identified_but_their_bills_compared(
    benchmark: Tau2Benchmark, tmp_path: Path, traces: list[Any]
) -> None:
    def invented(record: dict[str, Any]) -> list[dict[str, Any]]:
        changes = record["steps"][-1]["agent_changed"].get("bills", [])
        return [bill for bill in changes if len(bill["bill_id"]) == 9]

    record = copy.deepcopy(next((r for r in traces if r["steps"] and invented(r)), None))
    if record is None:
        pytest.skip("no recording with an invented bill")
    assert replay(benchmark, tmp_path, record) == []
    invented(record)[0]["due_date"] = "2025-03-16"
    (difference,) = replay(benchmark, tmp_path, record)
    assert difference.endswith(".due_date")


def test_a_trace_without_its_task_is_a_mismatch(benchmark: Tau2Benchmark, tmp_path: Path, traces: list[Any]) -> None:
    assert replay(benchmark, tmp_path, {**traces[0], "task_id": "other"}) == ["-1:replay"]


def test_published_tasks_are_made_from_their_ids_where_the_folder_lacks_them(
    benchmark: Tau2Benchmark, tmp_path: Path, tau2_traces: Path
) -> None:
    bare = tmp_path / "telecom"
    shutil.copytree(benchmark.path, bare)
    (bare / "tasks.json").chmod(0o644)
    (bare / "tasks.json").write_text("[]")
    report = verify_traces(bare, [tau2_traces / "traces.jsonl.gz", tau2_traces / "vectors.jsonl"])
    assert report.mismatches == []
    assert report.rebuilt == report.traces
    assert not report.skipped


def test_a_vector_without_its_task_is_replayed_without_reward(
    benchmark: Tau2Benchmark, tmp_path: Path, vectors: list[Any]
) -> None:
    file = tmp_path / "vectors.jsonl"
    file.write_text(json.dumps({**vectors[0], "task_id": "other"}))
    report = verify_traces(benchmark, [file])
    assert report.passed
    assert report.skipped == {"reward: unknown task": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1: not JSON"),
        ("[]", "line 1: not a trace"),
        ('{"task_id": "x", "steps": []}', "has neither"),
    ],
)
def test_files_that_are_no_recordings_are_named(
    benchmark: Tau2Benchmark, tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "odd.jsonl"
    file.write_text(text)
    with pytest.raises(TaskError, match=rf"odd\.jsonl, {message}|odd\.jsonl, line 1.*{message}"):
        verify_traces(benchmark, [file])


def test_unreadable_files_are_named(benchmark: Tau2Benchmark, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="nowhere"):
        verify_traces(benchmark, [tmp_path / "nowhere.jsonl"])
    (tmp_path / "broken.jsonl.gz").write_text("not gzip")
    with pytest.raises(TaskError, match="broken"):
        verify_traces(benchmark, [tmp_path / "broken.jsonl.gz"])


def test_nothing_compared_is_not_passed(benchmark: Tau2Benchmark) -> None:
    assert not verify_traces(benchmark, []).passed


def test_stated_tells_values_from_words() -> None:
    assert stated("toggle_data", "Mobile Data: ON\nStatus Bar: x") == {"Status Bar": "x", "states": "ON"}
    assert stated("toggle_data", "Mobile data is now ON.\nStatus Bar: x") == {"Status Bar": "x", "states": "ON"}
    assert stated("get_details_by_id", '{"message": "3 GB for L1", "n": NaN}')["message"] == ["3", "L1"]
