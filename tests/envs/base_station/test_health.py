"""Regions without faults look healthy, and one that is not is found out."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from telegym.cli.app import app
from telegym.core.errors import ConfigurationError
from telegym.envs.base_station import health
from telegym.envs.base_station.kpi import kpi_names
from telegym.envs.base_station.physics.spectrum import LAYERS


def test_bands_are_of_indicators_and_carriers() -> None:
    for tag in LAYERS:
        found = health.bands(tag)
        assert set(found) <= set(kpi_names()) and all(low < high for low, high in found.values())
    assert health.bands("N35")["dl_user_throughput_mbps"][0] > health.bands("L18")["dl_user_throughput_mbps"][0]
    assert health.bands("L18")["rank_mean"] != health.bands("N35")["rank_mean"]


def test_generated_regions_are_healthy() -> None:
    seen: list[tuple[int, int]] = []
    report = health.check_health(24, seed=40, on_progress=lambda done, total: seen.append((done, total)))
    assert report.passed and report.regions == 24 and seen[-1] == (24, 24)
    assert len(report.shares) == 8 and report.healthy <= report.cells
    assert not report.root_alarms and report.to_dict()["passed"] is True


@pytest.mark.slow
def test_fifty_generated_regions_are_healthy() -> None:
    report = health.check_health(50)
    assert report.passed, report.missed
    assert min(report.shares.values()) >= health.HEALTHY_GOAL


def test_what_is_not_healthy_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    strict = {**health._bands(), "prb_util_dl_pct": [0, 1]}
    monkeypatch.setattr(health, "_bands", lambda: strict)
    report = health.check_health(1)
    assert not report.passed and report.outside["prb_util_dl_pct"] > 0.9 * report.cells
    assert "the goal is 95%" in report.missed[0]
    report.root_alarms.append("U1-0: RU_HW_FAULT RU-001-L8-1")
    assert len(report.missed) == 2


def test_no_regions_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least 1"):
        health.check_health(0)


def test_the_command_tells_shares() -> None:
    done = CliRunner().invoke(app, ["verify", "regions", "-n", "2", "--json"])
    assert done.exit_code == 0
    report = json.loads(done.stdout)
    assert report["passed"] and report["regions"] == 2
    written = CliRunner().invoke(app, ["verify", "regions", "-n", "1"])
    assert written.exit_code == 0 and "inside all healthy bands" in written.stdout
