"""Every rule on traces that keep to it and traces that do not, as they are and in disguises that change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from telegym.core.errors import ConfigurationError
from telegym.envs.base_station.policy import RULES, Facts, PolicyConstants, Trace, TraceEntry, judge, policy_variant
from telegym.envs.base_station.policy.judge import PENALTIES

CASES: dict[str, dict[str, list[dict[str, Any]]]] = yaml.safe_load(
    Path(__file__).with_name("traces.yaml").read_text(encoding="utf-8")
)
CELL = {
    "element_id": "S001-L18-1",
    "site_id": "S001",
    "is_write": True,
    "related": frozenset({"S001-L18-1", "ENB-001"}),
}
DAY_S = 86_400


def facts(given: dict[str, Any]) -> Facts:
    fields = dict(given)
    base = CELL if fields.pop("w", False) else {}
    return Facts(**{**base, **fields})


def trace(case: dict[str, Any]) -> Trace:
    entries = [
        TraceEntry(index, 60 * minute, tool, arguments, facts=facts(*given) if given else Facts())
        for index, (minute, tool, arguments, *given) in enumerate(case["calls"])
    ]
    extra: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in case.get("with", {}).items()
    }
    if "faulty" in extra:
        extra["faulty"] = frozenset(extra["faulty"])
    return Trace(tuple(entries), **extra)


def _numbered(entries: list[TraceEntry]) -> tuple[TraceEntry, ...]:
    return tuple(replace(entry, index=index) for index, entry in enumerate(entries))


def another_day(played: Trace) -> Trace:
    entries = [replace(entry, time_s=entry.time_s + 3 * DAY_S) for entry in played.entries]
    return replace(played, entries=tuple(entries), start_s=played.start_s + 3 * DAY_S)


def with_reads(played: Trace) -> Trace:
    """Ask the knowledge base before every call: that shows no element and changes nothing."""
    found: list[TraceEntry] = []
    for entry in played.entries:
        found += [TraceEntry(0, entry.time_s, "search_knowledge_base", {"query": "vswr"}), entry]
    return replace(played, entries=_numbered(found))


def with_refusals(played: Trace) -> Trace:
    """Put a refused copy before every call: what was refused did not happen."""
    found: list[TraceEntry] = []
    for entry in played.entries:
        refused = entry.tool not in ("list_alarms", "get_external_notices")
        found += [replace(entry, error=True, tool=entry.tool if refused else "get_record", arguments={}), entry]
    return replace(played, entries=_numbered(found))


DISGUISES: dict[str, Callable[[Trace], Trace]] = {
    "as it is": lambda played: played,
    "another day": another_day,
    "with reads": with_reads,
    "with refusals": with_refusals,
}


def _cases(kind: str) -> Iterator[Any]:
    for name, cases in CASES.items():
        for number, case in enumerate(cases[kind]):
            for disguise in DISGUISES:
                yield pytest.param(name, case, disguise, id=f"{name}-{number}-{disguise}")


def test_every_rule_has_traces() -> None:
    assert list(CASES) == list(RULES) == [f"R{number:02}" for number in range(1, 27)]
    for cases in CASES.values():
        assert len(cases["legal"]) * len(DISGUISES) >= 5
        assert len(cases["illegal"]) * len(DISGUISES) >= 5


@pytest.mark.parametrize(("name", "case", "disguise"), list(_cases("legal")))
def test_legal_traces_break_no_rule(name: str, case: dict[str, Any], disguise: str) -> None:
    assert list(RULES[name].violations(DISGUISES[disguise](trace(case)), PolicyConstants())) == []


@pytest.mark.parametrize(("name", "case", "disguise"), list(_cases("illegal")))
def test_illegal_traces_break_the_rule(name: str, case: dict[str, Any], disguise: str) -> None:
    played = DISGUISES[disguise](trace(case))
    found = list(RULES[name].violations(played, PolicyConstants()))
    assert found
    assert all(item.rule == name and item.reason for item in found)
    assert all(item.call is None or 0 <= item.call < len(played.entries) for item in found)


def test_an_empty_episode_breaks_nothing() -> None:
    verdict = judge(Trace(()))
    assert (verdict.violations, verdict.score, verdict.hard) == ((), 1.0, False)


@given(st.sampled_from(sorted(CASES)), st.integers(0, 1))
def test_reads_never_break_a_rule_that_was_kept(name: str, number: int) -> None:
    played = trace(CASES[name]["legal"][number])
    assert {item.rule for item in judge(with_reads(played)).violations} <= {
        item.rule for item in judge(played).violations
    }


def test_penalties_are_capped_by_rule() -> None:
    outside = ({"w": True, "in_scope": False, "element_id": f"S{index:03}"} for index in range(6))
    writes = [TraceEntry(index, 0, "set_parameter", facts=facts(given)) for index, given in enumerate(outside)]
    verdict = judge(Trace(tuple(writes)))
    each, most = PENALTIES["major"]
    by_rule = {item.rule for item in verdict.violations if item.severity == "major"}
    assert "R03" in by_rule
    assert verdict.penalty <= each * most * len(by_rule) + 0.04 * 3 * 26 + 1e-9
    assert verdict.score < 1


def test_a_costly_unapproved_change_is_a_hard_violation() -> None:
    cheap, dear = (trace(case) for case in CASES["R07"]["illegal"])
    rule, numbers = RULES["R07"], PolicyConstants()
    assert [item.severity for item in rule.violations(cheap, numbers)] == ["major"]
    assert [item.severity for item in rule.violations(dear, numbers)] == ["hard"]
    assert judge(dear).hard and judge(dear).score == 0.0


def test_variants_move_the_limits() -> None:
    verified = trace(CASES["R21"]["legal"][0])
    assert not list(RULES["R21"].violations(verified, policy_variant("train-1")))
    assert list(RULES["R21"].violations(verified, policy_variant("verify-longer")))
    night = trace(CASES["R12"]["illegal"][0])
    assert not list(RULES["R12"].violations(night, policy_variant("night-dispatch")))
    with pytest.raises(ConfigurationError, match="Did you mean 'one-reset'"):
        policy_variant("one-resett")
