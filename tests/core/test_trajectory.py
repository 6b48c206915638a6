from __future__ import annotations

from pathlib import Path

import pytest

from telegym.core.episode import Episode, Limits
from telegym.core.errors import InfrastructureError
from telegym.core.messages import Message, ToolCall
from telegym.core.replay import replay
from telegym.core.trajectory import Trajectory, TrajectoryWriter, read_trajectories
from tests.lamp import LampRoom

ON = '<tool_call>{"name": "switch_lamp", "arguments": {"position": "on"}}</tool_call>'


def record(mode: str = "solo") -> Trajectory:
    environment = LampRoom(mode=mode)  # type: ignore[arg-type]
    episode = Episode(environment, environment.tasks[2], seed=4, limits=Limits(hops=50))
    episode.step(ON)
    episode.step("<tool_call>{")
    if mode == "dual":
        episode.step("Is it bright?")
    episode.step(Message(role="assistant", tool_calls=(ToolCall(id="z", name="dim_lamp", arguments={"level": 3}),)))
    episode.step("###STOP###")
    return episode.trajectory("test")


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_files_hold_what_was_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "folder" / f"runs{suffix}"
    with TrajectoryWriter(path) as writer:
        writer.write(record())
        writer.write(record("dual"))
    assert list(read_trajectories(path)) == [record(), record("dual")]


@pytest.mark.parametrize("mode", ["solo", "dual"])
def test_a_replay_reproduces_every_byte(mode: str) -> None:
    trajectory = record(mode)
    assert trajectory.score.success
    assert replay(trajectory, LampRoom(mode=mode)) == []  # type: ignore[arg-type]


def test_a_replay_names_the_differences() -> None:
    trajectory = record()
    call = trajectory.calls[2]
    changed = (*trajectory.calls[:2], call.model_copy(update={"content": "fine"}))
    differences = replay(trajectory.model_copy(update={"calls": changed, "final_state": "0"}), LampRoom())
    assert [(item.path, item.before, item.after) for item in differences] == [
        ("calls.2.content", "fine", "ok"),
        ("final_state", "0", trajectory.final_state),
    ]


@pytest.mark.parametrize("line", ["{}", "nonsense", '{"version": 2}'])
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text(f"{record().to_json()}\n{line}\n")
    with pytest.raises(InfrastructureError, match="line 2: not a trajectory of version 1"):
        list(read_trajectories(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"absent\.jsonl"):
        list(read_trajectories(tmp_path / "absent.jsonl"))
