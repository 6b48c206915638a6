"""What is kept: as much as there is room for, what was used last."""

from __future__ import annotations

import gc
import sys
from weakref import ref

import pytest

from telegym.core.episode import Episode
from telegym.envs.base_station import network, radio
from telegym.envs.base_station.environment import BaseStation
from telegym.envs.base_station.memory import KEPT_REGIONS, Latest, Recent
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.players.expert import expert
from telegym.envs.base_station.players.steps import Call, as_message, play


def made(kept: Recent[str, str], names: str) -> str:
    """Return which of the names had to be made."""
    found = []
    for name in names:
        kept.get(name, lambda name=name: found.append(name) or name)  # type: ignore[func-returns-value,misc]
    return "".join(found)


def test_what_was_not_used_for_longest_goes_first() -> None:
    kept: Recent[str, str] = Recent(3)
    assert made(kept, "abcab") == "abc"
    assert made(kept, "d") == "d"
    assert "c" not in kept and all(name in kept for name in "abd")
    assert made(kept, "abc") == "c"
    assert len(kept) == kept.used == 3


def test_values_that_grow_push_others_out() -> None:
    kept: Recent[str, str] = Recent(10)
    made(kept, "abc")
    kept.grow("c", 8)
    assert "a" not in kept and kept.used == 10
    kept.grow("c", 50)
    assert "c" in kept and len(kept) == 1, "what is used stays, however large it is"
    kept.grow("a", 5)
    assert kept.used == 59
    assert made(kept, "d") == "d" and "c" not in kept and kept.used == 1


@pytest.mark.parametrize("room", [1, 2, 5])
def test_a_value_is_never_another_keys(room: int) -> None:
    kept: Recent[int, int] = Recent(room)
    for number in (*range(7), *range(7), 3, 3, 6):
        assert kept.get(number, lambda number=number: 10 * number) == 10 * number  # type: ignore[misc]
    assert kept.used <= room


class Thing:
    """Something that can be forgotten."""


def test_the_latest_is_known_as_long_as_somebody_holds_it() -> None:
    latest: Latest[str, Thing] = Latest(2)
    one, other = Thing(), Thing()
    latest.put("a", one)
    latest.put("a", other)
    assert latest.get("a") is other and latest.get("b") is None
    del other
    gc.collect()
    assert latest.get("a") is None
    for name in "bcd":
        latest.put(name, one)
    assert len(latest) == 2 and latest.get("b") is None and latest.get("d") is one


def forget_everything() -> None:
    """Forget what is kept of regions, networks and indicators."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("telegym.envs.base_station", "telegym.tools.base_station")):
            for kept in vars(module).values():
                if isinstance(kept, (Recent, Latest)):
                    kept.__init__(1)  # type: ignore[misc]
                elif name.rpartition(".")[2] in REGIONAL and hasattr(kept, "cache_clear"):
                    kept.cache_clear()
    network._PRISTINE.clear()


REGIONAL = ("build", "index", "epochs", "radio", "base_values", "last_seen", "_measures", "inventory", "kpi", "cases")


@pytest.mark.parametrize("index", [1, 4])
def test_what_is_forgotten_is_made_anew_and_is_the_same(index: int) -> None:
    environment = BaseStation(kind="RES", count=8, hardest=3)
    task = environment.tasks[index]
    told = play(Episode(environment, task), expert)
    again = Episode(environment, task)
    for record in told.calls:
        forget_everything()
        again.step(as_message(Call(record.call.name, record.call.arguments), len(again.calls)))
    assert [record.content for record in again.calls] == [record.content for record in told.calls]
    assert again.world.state_hash() == told.world.state_hash()
    assert again.score() == told.score()


def test_no_more_regions_are_kept_than_there_is_room_for() -> None:
    forget_everything()
    seen = []
    for seed in range(KEPT_REGIONS + 3):
        built = Network("R1", 7_000 + seed)
        built.settle()
        radio.hour(built.region, built.epochs[-1].view, 5)
        seen.append(ref(built.region))
        del built
    gc.collect()
    # Views that are kept hold the regions of their layers.
    assert sum(region() is not None for region in seen) <= KEPT_REGIONS + len(radio._VIEWS)
    assert len(network._PRISTINE) <= KEPT_REGIONS
    assert radio._VIEWS.used <= max(radio._ROOM, radio._VIEWS.used // max(len(radio._VIEWS), 1))
