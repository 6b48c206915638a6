"""What is kept: as much as there is room for, what was used last."""

from __future__ import annotations

import pytest

from telegym.envs.base_station.memory import Recent


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
