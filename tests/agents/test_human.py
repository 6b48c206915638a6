from __future__ import annotations

from collections.abc import Iterator

from telegym.agents.human import HumanAgent
from telegym.agents.rollout import rollout
from telegym.core.episode import EndReason, Episode
from tests.toy import Toy


def play(*lines: str, talkative: bool = False) -> tuple[Episode, str]:
    """Type the lines, then leave; return the episode and all that was shown."""
    env, shown = Toy(talkative=talkative), list[str]()
    typed: Iterator[str] = iter(lines)

    def ask(prompt: str) -> str:
        shown.append(prompt)
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    (episode,) = rollout(env, env.tasks[:1], HumanAgent(ask=ask, show=shown.append))
    return episode, "\n".join(shown)


def test_calls_are_typed_and_answers_shown() -> None:
    episode, shown = play('read_counter(counter_id="C002")', "done()")
    assert [record.call.name for record in episode.calls] == ["read_counter", "done"]
    assert episode.end is EndReason.FINISHED
    assert episode.system in shown
    assert f"[user] {episode.task.ticket}" in shown
    assert '[read_counter] {"counter_id": "C002", "value": 0}' in shown
    assert "Task toy-0: finished, score 0\nthe counter has another value than asked for" in shown


def test_an_empty_line_lists_the_tools() -> None:
    episode, shown = play("", "done()")
    assert "change_counter(counter_id, amount, [direction]): Change a counter." in shown
    assert episode.turn == 1


def test_leaving_ends_the_episode() -> None:
    episode, _ = play()
    assert episode.end is EndReason.FINISHED
    assert episode.turn == 1


def test_a_mistyped_call_is_answered() -> None:
    episode, shown = play("read_counter(3)", "done()")
    assert "[read_counter] Error: " in shown or "Error: malformed" in shown
    assert episode.end is EndReason.FINISHED


def test_one_can_talk() -> None:
    episode, shown = play("What do you want?", "It is all done.", talkative=True)
    assert episode.end is EndReason.USER_STOP
    assert shown.count(f"[user] {episode.task.ticket}") == 2
