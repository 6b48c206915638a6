"""Broken model outputs, collected and generated: nothing raises, all is answered, invalid calls change nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from telegym.core.environment import Environment
from telegym.core.tool import CallError
from telegym.envs.registry import make_environment
from tests.hostile.checker import INVALID, Checker, Entry, corpus
from tests.hostile.run import attack
from tests.toy import Toy

ENTRIES = corpus()


@pytest.fixture(scope="module")
def tau2() -> Environment:
    return make_environment("tau2-telecom")


@pytest.fixture(scope="module")
def checker(tau2: Environment) -> Iterator[Checker]:
    yield Checker(tau2, tau2.tasks[:5])


def test_the_corpus_is_large_and_has_no_entry_twice() -> None:
    assert len(ENTRIES) >= 150
    assert len({entry.text for entry in ENTRIES}) == len(ENTRIES)


@pytest.mark.parametrize("entry", ENTRIES, ids=[f"{number}-{entry.kind}" for number, entry in enumerate(ENTRIES)])
def test_a_broken_output_gets_its_verdict(checker: Checker, entry: Entry) -> None:
    checker.fresh()
    errors = [record.error for record in checker.check(entry.text)]
    match entry.verdict:
        case "malformed":
            assert errors
            assert set(errors) == {CallError.MALFORMED}
        case "rejected":
            assert errors
            assert all(error in INVALID | {CallError.REFUSED} for error in errors)
            assert CallError.MALFORMED not in errors
        case "text":
            assert errors == []
            assert checker.episode.messages[-1].content
        case "blank":
            assert errors in ([], [CallError.EMPTY_MESSAGE])
            assert not checker.episode.messages[2].tool_calls
        case _:
            assert entry.verdict == "mixed"
    checker.check_trajectory()


@pytest.mark.parametrize("talkative", [False, True], ids=["solo", "dual"])
def test_hostile_actions_in_the_toy(talkative: bool) -> None:
    checker = attack(Toy(talkative=talkative), 1000)
    assert checker.invalid > 100
    assert checker.replays > 0


@pytest.mark.parametrize("mode", ["solo", "dual"])
def test_hostile_actions_in_tau2_telecom(mode: str) -> None:
    checker = attack(make_environment("tau2-telecom", mode=mode), 1500)
    assert checker.invalid > 200
    assert checker.refused > 0


def test_a_tool_that_breaks_the_promise_is_caught() -> None:
    """The checker itself can fail."""
    from telegym.core.tool import Toolkit, tool
    from tests.toy import CounterWorld

    @tool(kind="write")
    def break_promise(world: CounterWorld) -> str:
        """Change the world and fail."""
        world.values = {**world.values, "C001": 99}
        raise ValueError("too late")

    class Broken(Toy):
        def toolkit(self, task: object) -> Toolkit:
            return Toolkit([break_promise])

    with pytest.raises(AssertionError, match="too late"):
        Checker(Broken(), Broken().tasks).check("break_promise()")
