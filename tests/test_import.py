"""`import telegym` is light."""

from __future__ import annotations

import subprocess
import sys

import pytest

import telegym

_HEAVY = ("torch", "transformers", "trl", "vllm", "datasets", "accelerate", "matplotlib", "pandas")


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _loaded(statement: str) -> str:
    return _run(f"import sys; {statement}; print([name for name in {_HEAVY!r} if name in sys.modules])")


def test_import_loads_few_modules() -> None:
    """Most of the 300 are NumPy's and Gymnasium's; the time is measured by `telegym bench`."""
    assert int(_run("import sys, telegym; print(len(sys.modules))")) < 400


@pytest.mark.parametrize(
    "statement",
    [
        "import telegym",
        "import telegym.envs.gym, telegym.core.replay, telegym.evaluation.evaluate, telegym.agents.rollout",
        "import telegym; telegym.make_environment('tau2-telecom')",
        "from telegym.cli.app import app",
        "import gymnasium, telegym; gymnasium.make('telegym/Tau2Telecom-v0').reset(seed=0)",
    ],
)
def test_nothing_heavy_is_imported(statement: str) -> None:
    assert _loaded(statement) == "[]"


def test_nothing_of_telegym_but_the_registration_is_imported() -> None:
    loaded = _run("import sys, telegym; print(sorted(name for name in sys.modules if name.startswith('telegym')))")
    assert loaded == "['telegym', 'telegym._registration']"


def test_every_public_name_is_there() -> None:
    assert set(telegym.__all__) <= set(dir(telegym))
    for name in telegym.__all__:
        assert getattr(telegym, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Tools'"):
        telegym.Tools  # noqa: B018
