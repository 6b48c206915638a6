"""Running the command line within the test's process."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from telegym.cli.app import run


class Result(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Telegym = Callable[..., Result]


@pytest.fixture
def telegym(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Telegym:
    """Return a function that runs `telegym` with arguments and returns exit code and output."""
    monkeypatch.setenv("COLUMNS", "160")

    def call(*arguments: Any, stdin: str = "") -> Result:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        code = left.value.code
        return Result(code if isinstance(code, int) else 0, captured.out, captured.err)

    return call
