"""A judge made and taught here, served by a real vLLM: `tests/vllm/setup.sh` once, then `pytest -m vllm`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from telegym.agents.judging import Endpoint, make_backend, make_panel
from telegym.rewards.grm import GenerativeAnswerJudge, GenerativeJudge, JudgeReply, JudgeRequest, JudgeSettings
from telegym.rewards.grm.judge_input import judge_input
from telegym.rewards.grm.panel import Panel
from telegym.rewards.grm.prompting import prompt_messages
from telegym.rewards.registry import make_reward
from tests.rewards.grm.scripted import played
from tests.vllm.server import vllm_python, vllm_server

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    vllm_python()  # skips where there is none, before anything is made
    teaching = pytest.importorskip("tests.agents.judge_model", reason="the model is made with the extra train")
    shown = prompt_messages("trajectory", [judge_input(played(1))], style="json")
    path: Path = tmp_path_factory.mktemp("vllm") / "judge"
    teaching.write_judge(path, [message.content or "" for message in shown])
    return path


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    from tests.agents.judge_model import CONTEXT

    with vllm_server(folder, folder.parent / "server.log", context=CONTEXT) as url:
        yield url


def panel_of(url: str, settings: JudgeSettings, **options: Any) -> Panel:
    endpoint = Endpoint(base_url=url, retries=0, structured=True)
    return make_panel("openai:tiny", settings, endpoint=endpoint, **options)


def test_a_taught_judge_judges_as_it_does_without_the_server(server: str, folder: Path) -> None:
    from tests.agents.judge_model import query

    settings = JudgeSettings(votes=1, max_tokens=40)
    queries = [query(cell, right) for cell in range(500, 506) for right in (True, False)]
    served = GenerativeAnswerJudge(panel_of(server, settings), ask_whether_sure=False).judge(queries)
    local = GenerativeAnswerJudge(make_panel(f"local:{folder}", settings), ask_whether_sure=False).judge(queries)
    values = [found.value or 0.0 for found in served]
    assert min(values[::2]) > max(values[1::2])
    assert values == pytest.approx([found.value for found in local], abs=1e-3)
    assert all(found.counters["without_logprobs"] == 0 for found in served)


def test_an_enforced_schema_makes_every_vote_readable_and_it_is_judged_once(server: str, tmp_path: Path) -> None:
    settings = JudgeSettings(votes=2, style="json", temperature=1.0, max_tokens=700)
    runs = [played(0), played(1)]
    scores = GenerativeJudge(panel_of(server, settings)).score(runs)
    assert all(score.value is not None for score in scores), scores
    options: dict[str, Any] = {
        "model": "openai:tiny",
        "votes": 2,
        "asking": settings,
        "endpoint": {"base_url": server, "structured": True},
        "cache": str(tmp_path / "answers"),
    }
    first = make_reward("judge", **options)(runs[0])
    assert first.value is not None
    assert make_reward("judge", replay=True, **options)(runs[0]) == first


def test_votes_that_share_a_request_are_drawn_apart(server: str) -> None:
    backend = make_backend("openai:tiny", Endpoint(base_url=server, retries=0))
    messages = prompt_messages("trajectory", [judge_input(played(0))])
    (reply,) = backend.complete([JudgeRequest(messages, seed=1, n=4, temperature=1.0, max_tokens=12, logprobs=5)])
    assert isinstance(reply, JudgeReply)
    assert len(reply.choices) == 4
    assert len({choice.text for choice in reply.choices}) > 1
    assert all(len(token.top) >= 5 for choice in reply.choices for token in choice.tokens)


def test_a_run_that_is_too_long_is_a_failure_of_the_judge(server: str) -> None:
    judge = GenerativeJudge(panel_of(server, JudgeSettings(votes=1)), rubrics=["word " * 4000])
    found = judge(played(0))
    assert found.failure is not None and found.failure.party == "judge"
    assert "too long" in found.failure.message
