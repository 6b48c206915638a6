"""Numerical problems: made ones have right answers, published ones are read as they are."""

from __future__ import annotations

import json
import math
import string
from pathlib import Path
from random import Random
from typing import Any

import gymnasium
import pytest

from telegym.agents.oracle import OracleAgent
from telegym.agents.rollout import rollout
from telegym.core.episode import EndReason, Episode
from telegym.core.errors import ConfigurationError, TaskError
from telegym.core.messages import Message, ToolCall
from telegym.core.replay import replay
from telegym.envs.questions.desk import phrases
from telegym.envs.questions.problems import TEMPLATES, Draw, Template, number
from telegym.envs.questions.problems.systems import erlang_b, erlang_c
from telegym.envs.questions.telemath import TeleMath
from telegym.envs.registry import make_environment
from telegym.rewards.answer import NumericReward
from telegym.rewards.answer.units import is_unit
from telegym.rewards.base import Run
from telegym.tools.calculator import calculate


class Fixed(Draw):
    """Gives values in the order in which they are drawn."""

    def __init__(self, *values: Any) -> None:
        self.values = list(values)

    def number(self, low: float, high: float, step: float) -> float:
        return self.values.pop(0)  # type: ignore[no-any-return]

    def whole(self, low: int, high: int) -> int:
        return self.values.pop(0)  # type: ignore[no-any-return]

    def pick(self, *options: Any) -> Any:
        return self.values.pop(0)


def _template(name: str) -> Template:
    return next(template for template in TEMPLATES if template.name == name)


@pytest.mark.parametrize(
    ("name", "drawn", "answer"),
    [
        # Known from tables and standards, not from the code under test.
        ("free_space_loss", (1.0, 2400), 100.05),  # the constant 32.45 + 20 log10(2400)
        ("noise_floor", (1.0, 0.0, 290), -113.98),  # -173.98 dBm/Hz
        ("noise_floor", (20.0, 7.0, 290), -93.97),
        ("hata", (900, 30, 1.5, 1.0), 126.4),  # Hata 1980, small city
        ("cascaded_noise", (2.0, 20.0, 10.0), 2.24),
        ("doppler", (108, 0.9), 90.06),  # 30 m/s at 900 MHz
        ("quarter_wave", (300.0,), 24.98),
        ("return_loss", (1.5,), 13.98),
        ("return_loss", (2.0,), 9.54),
        ("reflected_power", (2.0, 9), 1.0),
        ("dbm_to_watt", (30.0,), 1000.0),
        ("eirp", (20, 17.0, 0.0), 60.01),
        ("fresnel", (10.0, 10.0), 8.66),
        ("horizon", (100, 25), 61.8),
        ("parabolic_gain", (1.0, 12.0, 55), 39.4),
        ("shannon", (20.0, 0.0), 20.0),
        ("nyquist", (3.0, 16), 24.0),
        ("binary_entropy", (0.11,), 0.4999),
        ("bpsk", (9.588,), 1e-5),  # the usual 9.6 dB for 1e-5
        ("quantisation", (16, 0.0), 98.09),
        ("erlang_b", (3, 1.0), 0.0625),
        ("erlang_c", (2, 1.0), 1 / 3),
        ("offered_traffic", (100, 1.5, 120), 5.0),
        ("slotted_aloha", (1.0,), 0.3679),
        ("satellite_delay", (35_786,), 477.5),
        ("timing_advance", (1282,), 100_088.0),  # about 100 km, the largest value of LTE
        ("timing_advance_nr", (1, 15), 78.07),
        ("nr_peak_rate", ((30, 273), 4, 8, 0.14), 2337.0),  # TS 38.306, 100 MHz, 256QAM, four layers
        ("rsrp", (46.0, 100, 0.0, 0.0), 15.2),
        ("reuse_ratio", (7, 1.0), 4.583),
        ("co_channel", (7, 4.0), 18.66),
        ("hexagon_area", (1.0, 1), 2.598),
        ("downtime", (99.999, 365), 5.256),
        ("downtime", (99.9, 365), 525.6),
        ("fibre_delay", (100.0, 1.5), 500.3),
        ("optical_reach", (0.0, 28.0, 0.25, 2.0, 3.0), 92.0),
    ],
)
def test_known_answers(name: str, drawn: tuple[Any, ...], answer: float) -> None:
    assert _template(name).make(Fixed(*drawn)).answer == pytest.approx(answer, rel=2e-3)


@pytest.mark.parametrize(
    ("servers", "blocking", "traffic"), [(10, 0.01, 4.461), (10, 0.02, 5.084), (20, 0.01, 12.03), (50, 0.02, 40.26)]
)
def test_erlangs_table(servers: int, blocking: float, traffic: float) -> None:
    """Traffic at which a group of circuits blocks 1 % or 2 %, from the published table of Erlang's first formula."""
    assert erlang_b(traffic, servers) == pytest.approx(blocking, rel=2e-3)
    assert erlang_c(traffic, servers) > erlang_b(traffic, servers)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_the_expression_gives_the_answer(template: Template) -> None:
    """The answer is computed twice: by the template's code, and by the calculator from its expression."""
    for seed in range(40):
        problem = template.make(Draw(Random(f"{template.name}/{seed}")))
        assert math.isfinite(problem.answer)
        assert calculate(problem.expression) == pytest.approx(problem.answer, rel=1e-9)
        assert is_unit(problem.unit)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_texts_name_what_is_drawn(language: str) -> None:
    texts = phrases("problems", language)
    assert set(texts) == {template.name for template in TEMPLATES} | {"ask", "plain"}
    for template in TEMPLATES:
        slots = {name for _, name, _, _ in string.Formatter().parse(texts[template.name]) if name}
        assert slots == set(template.make(Draw(Random(1))).slots), template.name


def test_there_are_problems_of_many_kinds() -> None:
    assert len(TEMPLATES) >= 25
    assert len({template.name for template in TEMPLATES}) == len(TEMPLATES)
    tasks = TeleMath(count=len(TEMPLATES)).tasks
    assert {task.labels["template"] for task in tasks} == {template.name for template in TEMPLATES}


@pytest.mark.parametrize(
    ("value", "text"),
    [(5.0, "5"), (0.1, "0.1"), (-95.5, "-95.5"), (35786, "35786"), (1e-06, "1e-06"), ("2e-5", "2e-5")],
)
def test_numbers_in_texts(value: float | str, text: str) -> None:
    assert number(value) == text


def test_problems_depend_on_seed_and_split_alone() -> None:
    first, again = TeleMath(seed=3, count=50).tasks, TeleMath(seed=3, count=80).tasks
    assert [task.model_dump() for task in first] == [task.model_dump() for task in again[:50]]
    assert [task.ticket for task in first] != [task.ticket for task in TeleMath(seed=4, count=50).tasks]
    assert first.by_id(first[7].id) == first[7]
    with pytest.raises(TaskError):
        first.by_id("tm-test-000000-00000000")


def test_splits_share_no_problem() -> None:
    asked = [
        {task.ticket for seed in (0, 1) for task in TeleMath(split=split, seed=seed, count=300).tasks}
        for split in ("train", "dev", "test")
    ]
    assert not asked[0] & asked[1] | asked[0] & asked[2] | asked[1] & asked[2]


def test_both_languages_ask_the_same() -> None:
    for one, other in zip(TeleMath(count=60).tasks, TeleMath(count=60, language="zh").tasks, strict=True):
        assert one.id == other.id
        assert one.data["answer"] == other.data["answer"]
        assert not other.ticket.isascii()


@pytest.mark.parametrize("tools", ["none", "calculator", "submit", "all"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_oracle_solves_every_kind(tools: Any, language: str) -> None:
    environment = TeleMath(tools=tools, language=language, count=len(TEMPLATES), split="dev")
    for episode in rollout(environment, environment.tasks, OracleAgent()):
        assert episode.score().success, episode.task.id
        assert len(episode.calls) == {"none": 0, "calculator": 1, "submit": 1, "all": 2}[tools]


def _submitted(environment: TeleMath, position: int, **arguments: Any) -> Episode:
    episode = Episode(environment, environment.tasks[position])
    episode.step(Message(role="assistant", tool_calls=(ToolCall(id="a", name="submit_answer", arguments=arguments),)))
    return episode


def test_levels_are_compared_in_decibels_not_by_share() -> None:
    environment = TeleMath(count=200)
    position, task = next((place, task) for place, task in enumerate(environment.tasks) if task.data["unit"] == "dBm")
    right = task.data["answer"]
    assert _submitted(environment, position, answer=right + 0.09).score().success
    assert not _submitted(environment, position, answer=right + 0.5).score().success
    assert not _submitted(environment, position, answer=f"{right} dB").score().success
    assert _submitted(environment, position, answer=right - 30, unit="dBW").score().success
    assert NumericReward()(Run.of(_submitted(environment, position, answer=right))).success


WRITTEN = {
    "plain": "{value:.6g}",
    "unit": "{value:.6g} {unit}",
    "attached": "{value:.6g}{unit}",
    "boxed": "\\boxed{{{value:.6g}\\ \\text{{{unit}}}}}",
    "latex": "${mantissa:.5f} \\times 10^{{{exponent}}}$ {unit}",
    "scientific": "{value:.5e} {unit}",
    "grouped": "{value:,.6f} {unit}",
    "sentence": "With 5 GHz and 3 antennas the answer is {value:.6g} {unit}.",
    "equation": "P = a + b = {value:.6g} {unit}",
    "bold": "The result is **{value:.6g} {unit}**.",
    "final": "We use eq. 3.\n\nFinal answer: {value:.6g} {unit}\n",
    "remark": "The answer is {value:.6g} {unit} (see step 2).",
    "chinese": "答案为{value:.6g} {unit}。",
}


@pytest.mark.parametrize("written", WRITTEN)
def test_answers_are_read_however_they_are_written(written: str) -> None:
    environment = TeleMath(split="test", count=2 * len(TEMPLATES), tools="none")
    for position, task in enumerate(environment.tasks):
        right, unit = task.data["answer"], task.data["unit"]
        for value, worth in ((right, 1.0), (right + 0.6 if unit.startswith("dB") else right * 1.05, 0.0)):
            exponent = math.floor(math.log10(abs(value)))
            slots = {"value": value, "unit": unit, "exponent": exponent, "mantissa": value / 10**exponent}
            episode = Episode(environment, environment.tasks[position])
            episode.step(WRITTEN[written].format(**slots))
            assert episode.score().value == worth, (WRITTEN[written].format(**slots), right, unit)


def test_an_answer_is_given_once() -> None:
    environment = TeleMath(count=1)
    episode = _submitted(environment, 0, answer=1e9)
    assert episode.end is EndReason.FINISHED
    assert episode.score().value == 0.0


def test_the_published_rule_pays_for_zero_where_little_is_right() -> None:
    strict, loose = TeleMath(count=600), TeleMath(count=600, scoring="telemath")
    little = [place for place, task in enumerate(strict.tasks) if 0 < abs(task.data["answer"]) <= 0.01]
    assert little
    for place in little:
        assert _submitted(loose, place, answer=0).score().success
        assert not _submitted(strict, place, answer=0).score().success


PUBLISHED = [
    {"question": "What is 1 + 1?", "answer": 2, "category": "Algebra", "tags": ["sum"], "difficulty": "Basic"},
    {"question": "What is 1 / 3?", "answer": "0.3333", "category": "Algebra", "tags": [], "difficulty": "Advanced"},
]


@pytest.mark.parametrize("form", ["list", "lines", "viewer"])
def test_published_problems_are_read(tmp_path: Path, form: str) -> None:
    path = tmp_path / "telemath.json"
    if form == "lines":
        path.write_text("".join(f"{json.dumps(item)}\n" for item in PUBLISHED), encoding="utf-8")
    else:
        value: Any = PUBLISHED if form == "list" else {"rows": [{"row": item} for item in PUBLISHED]}
        path.write_text(json.dumps(value), encoding="utf-8")
    environment = TeleMath(data=str(path))
    assert environment.tasks.ids == ("telemath-0", "telemath-1")
    assert environment.options["scoring"] == "telemath"
    assert environment.tasks[0].labels == {"family": "Algebra", "difficulty": "Basic", "tags": ["sum"]}
    assert _submitted(environment, 1, answer="1/3").score().success
    assert _submitted(environment, 0, answer="2.01").score().success
    assert not _submitted(environment, 0, answer=3).score().success


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "holds no problems"),
        ("x", "neither JSON nor JSON Lines"),
        ('[{"question": "x"}]', "problem 0"),
        ('[{"question": "x", "answer": "y"}]', "problem 0"),
        ('[{"question": "x", "answer": true}]', "problem 0"),
        ("[5]", "problem 0"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        TeleMath(data=str(path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "tset"}, "Did you mean 'test'"),
        ({"level": "hard"}, "no level 'hard'"),
        ({"scoring": "lax"}, "no scoring 'lax'"),
        ({"tools": "x"}, "no tools 'x'"),
        ({"language": "de"}, "no language 'de'"),
        ({"count": -1}, "must not be negative"),
        ({"data": "nowhere.json"}, "netop/TeleMath"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        TeleMath(**options)


def test_published_problems_are_all_for_testing(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(PUBLISHED), encoding="utf-8")
    assert len(TeleMath(data=str(path), split="test").tasks) == 2
    for options in ({"split": "train"}, {"level": "basic"}):
        with pytest.raises(ConfigurationError, match="published"):
            TeleMath(data=str(path), **options)  # type: ignore[arg-type]


def test_levels_can_be_chosen() -> None:
    assert {task.labels["difficulty"] for task in TeleMath(level="basic", count=80).tasks} == {"basic"}


def test_recordings_are_replayed_and_environments_made_again() -> None:
    environment = TeleMath(split="test", count=3, seed=5)
    trajectory = rollout(environment, environment.tasks[:1], OracleAgent())[0].trajectory("oracle")
    assert replay(trajectory, make_environment(trajectory.environment, **trajectory.options)) == []
    again = make_environment("telemath", **environment.options)
    assert again.tasks[2] == environment.tasks[2]


def test_gymnasium_plays_it() -> None:
    env = gymnasium.make("telegym/TeleMath-v0", tools="none", count=5)
    env.reset(seed=1)
    _, reward, terminated, _, info = env.step("I do not know.")
    assert (reward, terminated) == (0.0, True)
    assert info["score"]["components"] == {"answer": 0.0, "answered": 0.0}
