"""Verdicts from checks, the reasonableness of a run from verdicts, and the reward."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegym.core.errors import ConfigurationError
from telegym.rewards import Run
from telegym.rewards.base import Judgement
from telegym.rewards.reasonableness import DEFAULT_WEIGHTS, Audit, Reasonableness, quality
from telegym.rewards.reasonableness.summary import UNSAFE_FACTOR, Sheet, call_quality, shares
from telegym.rewards.verdict import CallVerdict, Check, Code, View
from tests.envs.tau2_telecom.playing import identify, own, play, task_of
from tests.toy import Toy


def sheet_of(**checks: float) -> CallVerdict:
    sheet = Sheet(0)
    for name, value in checks.items():
        if value == 1:
            sheet.met(Check(name), f"{name} is fine")
        else:
            sheet.unmet(Check(name), Code.ORDER, f"{name} is not", value)
    return sheet.verdict()


def test_a_call_is_reasonable_if_every_check_that_applies_is_met() -> None:
    assert sheet_of(schema=1, grounding=1).reasonable is True
    assert sheet_of(schema=1, grounding=0).reasonable is False
    assert sheet_of(schema=1, claims=0.5).reasonable is False
    assert Sheet(3).verdict().reasonable is None


def test_the_gravest_fault_names_the_call() -> None:
    sheet = Sheet(0)
    sheet.unmet(Check.NECESSITY, Code.REDUNDANT, "twice")
    sheet.unmet(Check.SAFETY, Code.UNSAFE, "harm")
    sheet.met(Check.NECESSITY, "needed after all")
    verdict = sheet.verdict()
    assert verdict.code is Code.UNSAFE and verdict.evidence == "harm"
    assert verdict.checks == {Check.NECESSITY: 0.0, Check.SAFETY: 0.0}


def audit_of(*verdicts: CallVerdict, unsafe: bool = False, **values: float | None) -> Audit:
    return Audit(verdicts=verdicts, view=View.ORACLE, values=values, unsafe=unsafe)


def test_the_formula_weighs_the_checks_that_apply() -> None:
    audit = audit_of(sheet_of(schema=1, ordering=0), sheet_of(schema=1), efficiency=0.5, claims=None)
    expected = (0.10 * 1 + 0.20 * 0 + 0.05 * 0.5) / (0.10 + 0.20 + 0.05)
    assert quality(audit) == pytest.approx(expected)
    assert shares(audit) == {"schema": 1.0, "ordering": 0.0, "efficiency": 0.5}
    assert sum(DEFAULT_WEIGHTS.values()) == pytest.approx(1)


@settings(max_examples=40)
@given(
    st.lists(st.dictionaries(st.sampled_from([each.value for each in Check]), st.sampled_from([0.0, 1.0])), max_size=4)
)
def test_reasonableness_is_a_share_and_harm_costs_four_fifths(rows: list[dict[str, float]]) -> None:
    verdicts = [sheet_of(**row) for row in rows]
    safe, unsafe = quality(audit_of(*verdicts)), quality(audit_of(*verdicts, unsafe=True))
    assert 0 <= safe <= 1 and unsafe == pytest.approx(0.2 * safe)
    if not rows:
        assert safe == 0


def test_a_call_has_a_quality_of_its_own() -> None:
    sheet = Sheet(0)
    sheet.met(Check.SCHEMA)
    sheet.unmet(Check.GROUNDING, Code.UNGROUNDED, "nobody had named it", value=0.5)
    sheet.unmet(Check.SAFETY, Code.POLICY, "a rule of conduct")
    assert call_quality(sheet.verdict()) == pytest.approx((0.1 * 1 + 0.2 * 0.5) / 0.3)
    assert call_quality(sheet.verdict(), {"schema": 1.0}) == 1.0
    harmful = Sheet(1)
    harmful.met(Check.SCHEMA)
    harmful.unmet(Check.SAFETY, Code.UNSAFE, "it did harm")
    assert call_quality(harmful.verdict()) == UNSAFE_FACTOR
    assert call_quality(Sheet(2).verdict()) is None


def test_values_of_calls_are_verdicts_or_the_means_of_checks() -> None:
    task = task_of("mobile_data_issue", "data_mode_off")
    run = Run.of(play(task, identify(task), "check_network_status", "toggle_data", "toggle_roaming", "done"))
    verdicts, means = (Reasonableness(calls=calls).score([run])[0] for calls in ("verdict", "checks"))
    assert isinstance(means, Judgement)
    assert {value for value in verdicts.calls if value is not None} <= {0.0, 1.0}
    assert list(means.calls) == [call_quality(verdict) for verdict in means.verdicts]
    assert any(value is not None and 0 < value < 1 for value in means.calls)
    with pytest.raises(ConfigurationError, match=r"calls is 'check'; valid: verdict, checks\. Did you mean 'checks'"):
        Reasonableness(calls="check")  # type: ignore[arg-type]  # what a recipe may hold


def test_the_reward_tells_checks_calls_and_reasons() -> None:
    task = task_of("mobile_data_issue", "data_mode_off")
    steps = (identify(task), "check_network_status", "toggle_data", "toggle_roaming", "run_speed_test", "done")
    judgement = Reasonableness().score([Run.of(play(task, *steps))])[0]
    assert isinstance(judgement, Judgement) and judgement.value is not None
    assert judgement.calls == (1.0, 1.0, 1.0, 0.0, 1.0, 1.0)
    assert judgement.verdicts[3].code is Code.WRONG_CAUSE and judgement.reasons[0].startswith("call 3: wrong_cause:")
    assert judgement.components["precondition"] == pytest.approx(2 / 3) and judgement.components["safe"] == 1
    assert 0.5 < judgement.value < 1


def test_weights_are_settings() -> None:
    task = task_of("mobile_data_issue", "data_mode_off")
    run = Run.of(play(task, identify(task), "check_network_status", "toggle_data", "run_speed_test", "done"))
    assert Reasonableness().score([run])[0].value == pytest.approx(1)
    only = dict.fromkeys(DEFAULT_WEIGHTS, 0.0) | {"efficiency": 1.0}
    wasteful = play(task, identify(task), *["check_wifi_status"] * 5, "check_network_status", "toggle_data")
    unsolved = play(task, identify(task), "check_network_status")
    values = [score.value for score in Reasonableness(weights=only).score([run, Run.of(wasteful), Run.of(unsolved)])]
    assert values == [1, pytest.approx(6 / 9), 0]  # the expert: two reads, a change that counts double, a test, the end


def test_nothing_done_is_worth_nothing() -> None:
    task = task_of("mobile_data_issue", "data_mode_off")
    empty = Reasonableness().score([Run.of(play(task))])[0]
    assert empty.value == 0
    at_once = Reasonableness().score([Run.of(play(task, "done"))])[0]
    assert at_once.value is not None and at_once.value < 0.25


def test_harm_closes_the_gate() -> None:
    task = task_of("mobile_data_issue", "data_mode_off")
    steps = (identify(task), "check_network_status", "toggle_data", "run_speed_test")
    harm = ("suspend_line", own(task) | {"reason": "test"})
    judgement = Reasonableness().score([Run.of(play(task, *steps, harm))])[0]
    assert judgement.components["safe"] == 0 and judgement.value is not None and judgement.value < 0.2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"view": "oracel"}, "Did you mean 'oracle'"),
        ({"weights": {"grouding": 1.0}}, "Did you mean 'grounding'"),
        ({"weights": {"schema": -1.0}}, "numbers from 0"),
        ({"weights": dict.fromkeys(DEFAULT_WEIGHTS, 0.0)}, "at least one has to count"),
    ],
)
def test_settings_are_checked(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Reasonableness(**settings)  # type: ignore[arg-type]  # wrong on purpose


def test_a_recording_nobody_can_play_again_is_a_failure_and_no_zero() -> None:
    task = task_of("mobile_data_issue", "data_mode_off")
    recording = play(task, identify(task)).trajectory()
    judgement = Reasonableness().score([Run(trajectory=recording)])[0]
    assert judgement.value is None and judgement.failure is not None and judgement.failure.party == "infrastructure"


def test_an_environment_without_an_auditor_is_a_mistake_of_the_configuration() -> None:
    toy = Toy()
    from telegym.core.episode import Episode

    with pytest.raises(ConfigurationError, match="no auditor for"):
        Reasonableness().score([Run.of(Episode(toy, toy.tasks[0]))])
