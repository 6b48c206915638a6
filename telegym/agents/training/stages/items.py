"""What is learnt from: tokens with a mask, alone or in pairs, and how they are kept."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from telegym.core.errors import InfrastructureError

__all__ = ["Example", "Item", "Pair", "read_items", "write_items"]


@dataclass(frozen=True, slots=True)
class Example:
    """A conversation, of which some tokens are learnt."""

    ids: list[int]
    """All tokens, the prompt first."""
    mask: list[int]
    """1 for each token to be learnt; never the first one."""
    logprobs: list[float] = field(default_factory=list)
    """Log-probability of each token to be learnt when it was sampled, where that is needed."""
    teacher_prompt: list[int] = field(default_factory=list)
    """What a teacher is told instead of the prompt, where that differs."""
    prompt: int = 0
    """How many tokens the prompt has, where that is needed."""
    targets: list[int] = field(default_factory=list)
    """What is learnt at each token to be learnt, if that is not always the token that stands there."""

    @property
    def learnt(self) -> int:
        """How many tokens are learnt."""
        return sum(self.mask)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two conversations of the same task, the first of which is the better one."""

    chosen: Example
    """The better one."""
    rejected: Example
    """The worse one."""
    reference: tuple[float, float] = (0.0, 0.0)
    """Log-probability of the learnt tokens of each, summed, under the policy that is the reference."""


Item = Example | Pair


def write_items(path: Path, items: Iterable[Item]) -> None:
    """Write items to a file of JSON lines; the file is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with gzip.open(temporary, "wt", encoding="utf-8") as file:
        for item in items:
            file.write(json.dumps(asdict(item), separators=(",", ":")) + "\n")
    temporary.replace(path)


def read_items(path: Path) -> list[Item]:
    """Read what `write_items` wrote.

    Raises:
        InfrastructureError: If the file is damaged.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            return [_item(json.loads(line)) for line in file]
    except (OSError, EOFError, ValueError, TypeError) as error:
        raise InfrastructureError(f"{path}: what is learnt from cannot be read: {error}") from error


def _item(data: dict[str, Any]) -> Item:
    if "chosen" not in data:
        return Example(**data)
    reference: Sequence[float] = data["reference"]
    return Pair(Example(**data["chosen"]), Example(**data["rejected"]), (reference[0], reference[1]))
