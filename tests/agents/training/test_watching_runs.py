"""What one sees of a run: lines, the picture, a view from outside, episodes to read, trackers."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from telegym.agents.training.dashboard import Display, dashboard, step_line, watch_run
from telegym.agents.training.recipe import Recipe
from telegym.agents.training.rollouts import Transcript
from telegym.agents.training.run import RunFolder, RunResult, train
from telegym.agents.training.run_settings import SamplesSettings, TrackingSettings
from telegym.agents.training.samples import Sampled, chosen, samples_page
from telegym.agents.training.tracking import check_trackers
from telegym.agents.training.view import FolderView, RunView, Status, sparkline, status_of
from telegym.cli.train import train as telegym_train
from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message, ToolCall
from telegym.core.score import Score
from telegym.envs.registry import register_environment
from telegym.rewards.base import Judgement
from telegym.rewards.verdict import CallVerdict

from .toy import ToyEnvironment, demonstrator

ROWS: list[dict[str, Any]] = [
    {
        "step": step,
        "loss": 0.1,
        "reward": step / 10,
        "episode/success": step / 20,
        "episode/tokens": 30.0,
        "entropy": 1.0 - step / 20,
        "guards/fatal": 0.125 * (step == 7),
        "time/generation": 3.0,
        "time/optimisation": 1.0,
        "time/step": 4.0,
        "tokens/second": 1234.5,
    }
    for step in range(1, 9)
]


def text_of(renderable: Any, width: int = 160, height: int = 40) -> str:
    console = Console(width=width, height=height, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


@given(st.lists(st.floats(-1e6, 1e6), max_size=200), st.integers(0, 60))
def test_a_curve_is_as_wide_as_it_may_be_and_shows_where_it_is_highest(values: list[float], width: int) -> None:
    curve = sparkline(values, width)
    assert len(curve) == min(width, len(values))
    if len(values) and len(values) <= width and len(set(values)) > 1:
        assert curve[values.index(max(values))] == "█"
        assert curve[values.index(min(values))] == "▁"


def test_the_picture_shows_figures_times_and_the_last_episode() -> None:
    sample = "# Step 8\n\nreset_unit 17\n"
    text = text_of(dashboard(RunView("toy-1", "training", 8, 20, "", ROWS, sample), 160, 40))
    assert re.search(r"toy-1 +training .* 8/20 .*step 8 .*48 s left", text)
    assert re.search(r"reward +0\.800 +0\.450 .*▁.*█", text)
    assert re.search(r"guard hits, fatal +0\.0% +1\.6%", text)
    assert re.search(r"tokens a second +1,234", text)
    assert re.search(r"generation +3\.00 +█+", text)
    assert "reset_unit 17" in text
    assert "KL" not in text


@pytest.mark.parametrize("height", [5, 12, 24])
def test_the_picture_keeps_to_the_terminal(height: int) -> None:
    view = RunView("toy-1", "training", 8, 20, "", ROWS, "line\n" * 100)
    lines = text_of(dashboard(view, 80, height), 80, height).splitlines()
    assert max(len(line) for line in lines) <= 80
    assert len(lines) <= max(height, 12)


def test_a_step_is_a_line_where_there_is_no_terminal(tmp_path: Path) -> None:
    out = io.StringIO()
    display = Display(Console(file=out, width=300), RunView("toy"), Status(tmp_path))
    with display.progress("training", 20, 6) as bar:
        display.row(ROWS[6], 20)
        bar.advance()
    line, end = out.getvalue().splitlines()
    assert line == step_line(ROWS[6], 20)
    assert line.startswith("step 7/20  reward 0.700  success 35.0%  loss 0.1000  entropy 0.650")
    assert line.endswith("guards/fatal 0.12  4.0 s")
    assert end.startswith("training: 7 of 20 in ")


def test_phases_within_phases(tmp_path: Path) -> None:
    view = RunView("toy")
    display = Display(Console(file=io.StringIO()), view, Status(tmp_path))
    with display.progress("training", 20, 6):
        with display.progress("dev, step 6", 4) as inner:
            inner.advance(by=4)
            assert (view.phase, view.done, view.total) == ("dev, step 6", 4, 4)
        assert (view.phase, view.done, view.total) == ("training", 6, 20)
        assert status_of(tmp_path)["phase"] == "training"


# --- from outside ---------------------------------------------------------------------------------------


def a_run(folder: Path, rows: list[dict[str, Any]], **status: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text("kind: grpo\n", "utf-8")
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    life = {"process": os.getpid(), "host": socket.gethostname(), "time": 0.0, "over": False}
    if status:
        (folder / "progress.json").write_text(json.dumps({**life, **status}), "utf-8")
    return folder


def test_a_run_is_followed_step_by_step(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run", ROWS[:3], phase="training", done=3, total=8)
    followed = FolderView(folder)
    assert followed.update()
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(ROWS[3]) + "\n" + json.dumps(ROWS[4])[:20])
    assert followed.update()
    assert [row["step"] for row in followed.view.rows] == [1, 2, 3, 4]
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(ROWS[4])[20:] + "\n")
    followed.update()
    assert followed.view.rows == ROWS[:5]
    a_run(folder, ROWS[:2], phase="training", done=2, total=8)
    followed.update()
    assert followed.view.rows == ROWS[:2]


def test_a_run_whose_process_is_gone_is_said_to_be_gone(tmp_path: Path) -> None:
    followed = FolderView(a_run(tmp_path / "run", ROWS, phase="training", process=2**22 + 1))
    assert not followed.update()
    assert followed.view.phase == "training: its process is gone; continue with --resume"
    elsewhere = FolderView(a_run(tmp_path / "other", ROWS, phase="training", host="elsewhere"))
    assert not elsewhere.update()


def test_one_can_look_at_a_run_from_another_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = a_run(tmp_path / "run", ROWS, phase="finished", over=True)
    telegym_train(watch=str(folder))
    lines = capsys.readouterr().out.splitlines()
    assert lines == [*map(step_line, ROWS), "run: finished"]
    with pytest.raises(ConfigurationError, match=r"no run 'rum' in .*; there are: run"):
        watch_run(tmp_path / "rum", Console())


def test_a_full_disk_does_not_end_a_run_for_want_of_a_status(tmp_path: Path) -> None:
    Status(tmp_path / "nowhere").tell("training")
    assert status_of(tmp_path / "nowhere") == {}


# --- episodes to read -----------------------------------------------------------------------------------


def played(task: int, quality: float) -> Episode:
    environment = ToyEnvironment(20)
    episode, act = Episode(environment, environment.tasks[task]), demonstrator(quality)
    while not episode.done:
        episode.step(act(episode))
    return episode


def test_the_best_the_worst_and_some_between_are_chosen() -> None:
    items = [Sampled(Transcript(played(0, 1.0), []), Score(value=0.0), value) for value in (0.5, None, 1.0, 0.0, 0.25)]
    assert [item.reward for item in chosen(items, 3)] == [1.0, 0.25, None]
    assert [item.reward for item in chosen(items, 1)] == [1.0]
    assert [item.reward for item in chosen(items, 9)] == [1.0, 0.5, 0.25, 0.0, None]


def test_an_episode_can_be_read_with_credit_and_verdicts() -> None:
    episode = played(3, 1.0)
    verdict = CallVerdict(index=1, reasonable=False, evidence="nobody asked")
    score = Judgement(
        value=0.5, components={"form": 0.25}, reasons=("too long",), calls=(0.5, -1.0, 0.0), verdicts=(verdict,)
    )
    page = samples_page(10, [Sampled(Transcript(episode, []), score, 0.5, (0.5, -0.25, 0.0))], SamplesSettings())
    assert page.startswith("# Step 10\n")
    assert "Task `toy-3`, seed 0: reward 0.500, solved" in page
    assert "- form: 0.25\n- cost: too long" in page
    assert "### Turn 2, credit -0.250" in page
    assert "**agent calls reset_unit** — not reasonable nobody asked; value -1" in page
    assert "alarm on unit" in page


def test_nothing_in_an_episode_can_end_its_block() -> None:
    environment = ToyEnvironment(4)
    episode = Episode(environment, environment.tasks[0])
    hostile = "```\n# not a heading\n" + "x" * 50
    call = ToolCall(id="1", name="done", arguments={})
    episode.step(Message(role="assistant", content=hostile, tool_calls=(call,)))
    page = samples_page(1, [Sampled(Transcript(episode, []), episode.score(), 0.0)], SamplesSettings(characters=30))
    assert "````\n```\n# not a heading\n" in page
    assert "more characters" in page


# --- a whole run ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def watched(taught_folder: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResult, str]:
    """A small run with samples and, where it is installed, TensorBoard, and what it printed."""
    register_environment("toy-units", "tests.agents.training.toy:ToyEnvironment")
    to = ["tensorboard"] if importlib.util.find_spec("tensorboard") else []
    recipe = Recipe.model_validate(
        {
            "threads": 1,
            "model": {"name": taught_folder},
            "environment": {"id": "toy-units", "train": {"tasks": 50}},
            "rollout": {"turn_tokens": 40, "completion_tokens": 300, "context": 1024},
            "evaluation": {"sets": {"test": {"tasks": 2}}, "every": 2, "during": {"dev": {"tasks": 3}}},
            "samples": {"every": 2, "number": 3},
            "tracking": {"to": to},
            "grpo": {"steps": 2, "groups": 1, "group_size": 4},
        }
    )
    out = io.StringIO()
    runs = tmp_path_factory.mktemp("watched")
    return train(recipe, name="toy", runs=runs, console=Console(file=out, width=200)), out.getvalue()


def test_a_run_tells_what_it_does(watched: tuple[RunResult, str]) -> None:
    result, printed = watched
    assert re.search(r"^step 2/2  reward .*held-out success .* s$", printed, re.MULTILINE)
    assert re.search(r"^test, before: 2 of 2 in ", printed, re.MULTILINE)
    status = status_of(result.folder)
    assert (status["phase"], status["over"]) == ("finished", True)


def test_a_run_leaves_episodes_to_read(watched: tuple[RunResult, str]) -> None:
    folder = RunFolder(watched[0].folder)
    assert sorted(path.name for path in (folder.path / "samples").iterdir()) == ["step-00001.md", "step-00002.md"]
    page = folder.samples(2).read_text("utf-8")
    assert page.count("\n## Number ") == 3
    assert re.search(r"### Turn 1, credit [+-]\d\.\d{3}", page)


def test_tensorboard_gets_every_figure(watched: tuple[RunResult, str]) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = RunFolder(watched[0].folder)
    events = event_accumulator.EventAccumulator(str(folder.path / "tensorboard"))
    events.Reload()
    for name in ("reward", "episode/success", "held-out"):
        logged = {event.step: event.value for event in events.Scalars(f"train/{name}")}
        rows = {row["step"]: row[name] for row in folder.rows() if name in row}
        assert logged == pytest.approx(rows, rel=1e-6)


def test_trackers_that_are_not_there_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"tracking.to: 'wandb' is not installed: pip install wandb"):
        check_trackers(TrackingSettings(to=["wandb"]))
    with pytest.raises(ConfigurationError, match=r"'tensorboard' is not installed: pip install 'telegym\[tracking\]'"):
        check_trackers(TrackingSettings(to=["tensorboard"]))
    with pytest.raises(ConfigurationError, match="'trackio' is not among the trackers"):
        check_trackers(TrackingSettings(options={"trackio": {}}))
