from __future__ import annotations

import base64
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar

import pytest

from telegym.agents.base import Agent
from telegym.agents.oracle import OracleAgent
from telegym.agents.random import RandomAgent
from telegym.core.episode import Episode
from telegym.core.errors import TeleGymError
from telegym.core.score import Score
from telegym.core.trajectory import read_trajectories
from telegym.evaluation.evaluate import evaluate
from telegym.evaluation.learning import read_metrics
from telegym.evaluation.report import write_report
from tests.toy import Toy


def fill(folder: Path, suffix: str = "", swap: bool = False) -> None:
    """Write a run whose agent went from random to oracle, or the other way round."""
    agents: list[Agent] = [RandomAgent(), OracleAgent()]
    for when, agent in zip(("before", "after"), reversed(agents) if swap else agents, strict=True):
        file = folder / "trajectories" / f"evaluation-{when}{suffix}.jsonl"
        evaluate(Toy(), agent, trials=2, write_to=file).write(folder / f"evaluation-{when}{suffix}.json")
    rows: list[dict[str, Any]] = [
        {
            "step": step,
            "reward": step / 10,
            "episode/success": step / 12,
            "guards/fatal": 0.25 * (step == 3),
            "time/generation": 3.0,
            "time/optimisation": 1.0,
            "time/step": 4.0,
        }
        for step in range(1, 11)
    ]
    rows[4] |= {"held-out": 0.5, "held-out/low": 0.3, "held-out/high": 0.7, "held-out/value": 0.625}
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (folder / "config.yaml").write_text("seed: 1\nname: <b>bold</b>\n")


def page_of(folder: Path) -> str:
    return write_report(folder).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("run")
    fill(folder)
    return page_of(folder)


def cells(page: str, name: str) -> list[str]:
    """Return the cells of the first table row with this name."""
    row = re.search(rf"<tr><td>{re.escape(name)}</td>(.*?)</tr>", page)
    assert row is not None, f"no row {name!r}"
    return re.findall(r"<td>(.*?)</td>", row.group(1))


def test_the_table_says_how_much_success_rose(full: str) -> None:
    before, after, difference = cells(full, "success")
    assert before.startswith("0.0% (0.0–")
    assert after.startswith("100.0% (")
    assert difference.startswith("+100.0 pp (")
    assert cells(full, "pass^2") == ["0.0%", "100.0%", ""]
    assert cells(full, "far")[1].startswith("100.0% (")
    assert cells(full, "episodes") == ["24", "24", ""]


def test_tool_use_ends_and_reasons_are_counted(full: str) -> None:
    assert cells(full, "calls per solved task") == ["–", "2.50 (2.25–2.75)", ""]
    assert cells(full, "failed calls")[1].startswith("0.0% (0.0–")
    assert int(cells(full, "refused")[0]) > 0
    assert cells(full, "finished")[1] == "24"
    assert cells(full, "the counter has another value than asked for") == ["24", "0"]


def test_examples_show_tasks_that_changed(full: str) -> None:
    assert len(re.findall(r"<details><summary>toy-\d+, seed \d+</summary>", full)) == 3
    assert "Tasks that got better" in full
    assert "Tasks that got worse" not in full
    assert "score 0" in full
    assert "score 1" in full


def test_the_first_thing_said_is_what_changed(full: str) -> None:
    sentence = re.search(r"<ul><li>(.*?)</li></ul>", full)
    assert sentence is not None
    assert re.fullmatch(
        r"held-out tasks: from 0\.0% \(.*\) to 100\.0% \(.*\) solved, \+100\.0 pp \(.*\)\.", sentence[1]
    )


def test_a_change_that_may_be_chance_is_said_to_be(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "evaluation-after.json").write_bytes((tmp_path / "evaluation-before.json").read_bytes())
    assert "0.0 pp (-24.2–24.2); the interval holds zero, so it may be chance." in page_of(tmp_path)


def test_tools_are_counted_by_name(full: str, tmp_path: Path) -> None:
    fill(tmp_path)
    for when, place in (("before", 0), ("after", 1)):
        played = list(read_trajectories(tmp_path / "trajectories" / f"evaluation-{when}.jsonl"))
        calls = [entry for each in played for entry in each.calls if entry.call.name == "change_counter"]
        shown = cells(full, "change_counter")
        assert shown[place] == f"{len(calls) / len(played):.2f}"
        failed = sum(entry.error is not None for entry in calls)
        assert shown[place + 2] == (f"{failed / len(calls):.1%}" if calls else "–")


def test_rules_that_were_broken_are_counted_by_episode(tmp_path: Path) -> None:
    def score(episode: Episode) -> Score:
        early = ("R7: too early", "R7: again", "R12: late") if episode.task.id.endswith("1") else ()
        return Score(value=0.0, components={"share_policy": 0.5}, reasons=early)

    evaluate(Toy(), RandomAgent(), score=score).write(tmp_path / "evaluation-after.json")
    page = page_of(tmp_path)
    few = sum(task.id.endswith("1") for task in Toy().tasks)
    assert cells(page, "R7") == ["–", f"{few} ({few / 12:.1%})"]
    assert cells(page, "rule violations per episode")[1].startswith(f"{3 * few / 12:.2f} (")


def test_the_training_is_told_in_figures(full: str) -> None:
    assert cells(full, "reward") == ["0.300", "0.800", "+0.500"]
    assert cells(full, "generation") == ["3.00", "75.0%"]
    assert cells(full, "fatal") == ["5.0%", "0.0%", "25.0% (step 3)"]
    assert cells(full, "step 5") == ["50.0% (30.0–70.0)", "0.625"]


def test_the_picture_has_bands_held_out_tasks_and_times(full: str) -> None:
    encoded = re.search(r"svg\+xml;base64,([^\"]+)", full)
    assert encoded is not None
    svg = base64.b64decode(encoded[1]).decode()
    titles = re.findall(r"<!-- (.*?) -->", svg)
    for title in ("episode/success", "reward", "held-out success, 95%", "seconds a step", "optimisation"):
        assert title in titles
    assert "FillBetweenPolyCollection" in svg


def test_tasks_that_got_worse_are_shown_too(tmp_path: Path) -> None:
    fill(tmp_path, swap=True)
    page = page_of(tmp_path)
    assert "Tasks that got worse" in page
    assert cells(page, "success")[2].startswith("-100.0 pp")


def test_the_page_stands_alone_and_is_escaped(full: str) -> None:
    assert "&lt;b&gt;bold&lt;/b&gt;" in full
    assert 'src="data:image/svg+xml;base64,' in full
    assert not re.search(r'(?:src|href)="(?!data:)', full)
    assert "<script" not in full
    assert "default-src 'none'" in full
    assert "Not in this report" not in full


def test_every_element_is_closed_where_it_belongs(full: str) -> None:
    class Nesting(HTMLParser):
        open: ClassVar[list[str]] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in ("meta", "img", "br"):
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    nesting = Nesting()
    nesting.feed(full)
    assert nesting.open == []


def test_the_same_run_gives_the_same_report(tmp_path: Path) -> None:
    fill(tmp_path)
    assert page_of(tmp_path) == page_of(tmp_path)


def test_an_empty_folder_gives_a_report_that_says_so(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    for part in ("config.yaml is missing", "metrics.jsonl is missing", "evaluation-before.json is missing"):
        assert part in page


@pytest.mark.parametrize(
    "part", ["config.yaml", "metrics.jsonl", "evaluation-before.json", "evaluation-after.json", "trajectories"]
)
def test_each_part_may_be_missing(part: str, tmp_path: Path) -> None:
    fill(tmp_path)
    path = tmp_path / part
    path.rename(tmp_path / f"{part}.moved")
    page = page_of(tmp_path)
    assert f"{part}" in page[page.index("Not in this report") :]
    if "evaluation" in part:
        assert "–" in cells(page, "success")
    elif part != "trajectories":
        assert cells(page, "success")[1].startswith("100.0%")


@pytest.mark.parametrize("text", ["", "{", '{"version": 1}', "[]", "\x00"])
@pytest.mark.parametrize(
    "part", ["metrics.jsonl", "evaluation-before.json", "trajectories/evaluation-after.jsonl", "config.yaml"]
)
def test_each_part_may_be_broken(part: str, text: str, tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / part).write_text(text)
    assert "<h1>" in page_of(tmp_path)


def test_of_many_reasons_the_most_frequent_are_shown(tmp_path: Path) -> None:
    def score(episode: Episode) -> Score:
        return Score(value=0.0, reasons=("always", f"only in {episode.task.id}", f"also in {episode.task.id}"))

    evaluate(Toy(), RandomAgent(), score=score).write(tmp_path / "evaluation-after.json")
    page = page_of(tmp_path)
    assert cells(page, "always") == ["–", "12"]
    assert len(re.findall(r"<td>(?:only|also) in toy-", page)) == 11


def test_several_evaluations_are_told_apart(tmp_path: Path) -> None:
    fill(tmp_path)
    fill(tmp_path, suffix="-benchmark")
    page = page_of(tmp_path)
    assert "Before and after: benchmark" in page
    assert "Before and after: held-out tasks" in page


def test_compressed_trajectories_are_found(tmp_path: Path) -> None:
    import gzip

    fill(tmp_path)
    for file in (tmp_path / "trajectories").iterdir():
        (file.parent / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    assert "Tasks that got better" in page_of(tmp_path)


def test_metrics_of_a_resumed_run_count_once(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    rows: list[Any] = [{"step": 1, "x": 1}, {"step": 2, "x": 2}, {"step": 2, "x": 3}, {"step": 1.0, "x": 0}]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows) + '{"step": 3, "x"\n[]\n{"x": 1}\n\n')
    assert read_metrics(file) == ([{"step": 1.0, "x": 0}, {"step": 2, "x": 3}], 3)


def test_without_matplotlib_the_report_has_no_curves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fill(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    page = page_of(tmp_path)
    assert "Learning curves" not in page
    assert "pictures need the package matplotlib" in page


def test_the_report_can_be_written_elsewhere_and_its_folder_must_be_there(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.html"
    assert write_report(tmp_path, target) == target
    assert target.is_file()
    with pytest.raises(TeleGymError, match="no run folder"):
        write_report(tmp_path / "nothing")
