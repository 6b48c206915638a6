from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telegym.agents.oracle import OracleAgent
from telegym.agents.rollout import rollout
from telegym.core.episode import EndReason, Episode
from telegym.core.messages import Message, ToolCall
from telegym.core.score import Failure
from telegym.core.trajectory import Trajectory
from telegym.ui.trajectory_page import trajectory_fragment, trajectory_page, write_trajectory_page
from tests.toy import Toy

ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</pre></div></body>",
    "{{ 7 * 7 }}{% include 'x' %}",
    "<!-- &amp; ]]>",
]


class Outline(HTMLParser):
    """Collects tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def played(*actions: str | Message, talkative: bool = False) -> Trajectory:
    env = Toy(talkative=talkative)
    episode = Episode(env, env.tasks[1])
    for action in actions:
        episode.step(action)
    return episode.trajectory("me")


def test_the_page_tells_what_happened() -> None:
    env = Toy()
    (episode,) = rollout(env, env.tasks[1:2], OracleAgent())
    outline = Outline(trajectory_page(episode.trajectory("oracle")))
    for part in (
        "toy-1",
        "played by oracle",
        "score 1",
        "finished",
        "change_counter",
        "state changed",
        "2 min",
    ):
        assert part in outline.text
    assert episode.task.ticket in outline.text
    assert outline.text.count("state changed") == 2


def test_errors_name_their_class() -> None:
    trajectory = played('read_counter(counter_id="C9")', "<tool_call>{broken", "read_counter()", "")
    text = Outline(trajectory_page(trajectory)).text
    for part in ("refused", "malformed_call", "invalid_arguments", "empty_message", "unreadable: ", "unfinished"):
        assert part in text


def test_a_failure_is_no_score() -> None:
    env = Toy()
    episode = Episode(env, env.tasks[0])
    episode.truncate(EndReason.INFRASTRUCTURE, Failure(party="infrastructure", message="no power"))
    text = Outline(trajectory_page(episode.trajectory())).text
    assert "no score" in text
    assert "no power" in text


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_a_model_wrote_is_text_wherever_it_stands(attack: str) -> None:
    calls = (
        ToolCall(id="a", name=attack, arguments={attack: attack}),
        ToolCall(id="b", name="read_counter", parse_error=attack, raw=attack),
        ToolCall(id="c", name="read_counter", arguments={"counter_id": attack}),
    )
    hostile = played(Message(role="assistant", content=attack, tool_calls=calls))
    task = hostile.task.model_copy(update={"id": attack, "ticket": attack})
    score = hostile.score.model_copy(update={"reasons": (attack,), "components": {attack: 1.0}})
    hostile = hostile.model_copy(update={"task": task, "agent": attack, "score": score, "end": attack})
    plain = Outline(trajectory_page(hostile.model_copy(update={"messages": ()})))
    outline = Outline(trajectory_page(hostile))
    assert set(outline.tags) <= {*plain.tags, "div", "pre", "span"}
    assert "script" not in outline.tags
    assert "onerror" not in outline.attributes
    assert outline.text.count(attack) >= 8
    assert "49" not in re.sub(r"[^{}]*\{[^}]*\}", "", outline.text)


@given(st.text())
def test_any_text_is_shown_as_it_is(text: str) -> None:
    trajectory = played("hello", talkative=True)
    message = Message(role="user", content=text)
    fragment = trajectory_fragment(trajectory.model_copy(update={"messages": (message,), "calls": ()}))
    outline = Outline(fragment)
    assert set(outline.tags) <= {"p", "span", "ul", "li", "div", "pre"}
    # HTML has no carriage return and no NUL; both become something else when a page is read.
    wanted = text.replace("\x00", "")
    assert wanted.replace("\r", "") in outline.text.replace("\r", "").replace("\x00", "")


def test_pages_ask_nothing_of_the_network() -> None:
    page = trajectory_page(played("read_counter()"))
    assert not re.search(r"(?:src|href)=|url\(|@import|https?://", page)
    assert "default-src 'none'" in page


def test_the_page_is_written_even_with_half_characters(tmp_path: Path) -> None:
    trajectory = played("hello", talkative=True)
    odd = trajectory.model_copy(update={"messages": (Message(role="user", content="half \ud800 one"),)})
    write_trajectory_page(odd, tmp_path / "page.html")
    assert "half ? one" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_same_trajectory_gives_the_same_page() -> None:
    assert trajectory_page(played("read_counter()")) == trajectory_page(played("read_counter()"))
