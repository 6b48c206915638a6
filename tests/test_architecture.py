"""Who may import whom, and how long a function may be.

`core` knows no domain; `envs`, `tools` and `rewards` know `core` and each other; `agents` knows them all and is the
only place of torch and its kin; `evaluation`, `ui`, `cli` sit on top. No import goes the other way.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "telegym"
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
HEAVY = {"torch", "transformers", "trl", "verl", "vllm", "accelerate", "datasets", "peft", "tokenizers"}
MAY_IMPORT = {
    "core": {"core"},
    "envs": {"core", "envs", "tools", "rewards"},
    "tools": {"core", "envs", "tools"},
    "rewards": {"core", "envs", "tools", "rewards"},
    "agents": {"core", "envs", "tools", "rewards", "agents", "evaluation"},
    "evaluation": {"core", "envs", "rewards", "agents", "evaluation", "ui"},
    "ui": {"core", "envs", "rewards", "agents", "evaluation", "ui"},
}
# An environment builds the simulated user it is asked for; users live with the agents, which know the environments.
EXCEPTIONS = {("telegym.envs.tau2_telecom.environment", "telegym.agents.users")}


def _name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_go_one_way(path: Path) -> None:
    name = _name(path)
    room = path.relative_to(PACKAGE).parts[0]
    allowed = MAY_IMPORT.get(room)
    for target in _imports(ast.parse(path.read_text(encoding="utf-8"))):
        parts = target.split(".")
        if parts[0] in HEAVY:
            assert room == "agents", f"{name} imports {target}; only agents may"
        if parts[0] == "telegym" and len(parts) > 1 and allowed is not None:
            excepted = any(name == who and target.startswith(what) for who, what in EXCEPTIONS)
            assert parts[1] in allowed or excepted, f"{name} imports {target}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "core").glob("*.py")), ids=_name)
def test_core_knows_no_domain(path: Path) -> None:
    names = {node.id for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Name)}
    assert not {name for name in names if "telecom" in name.lower()}


def _functions() -> Iterator[tuple[str, int]]:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{_name(path)}.{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def test_functions_are_short() -> None:
    lengths = dict(_functions())
    assert not {name: length for name, length in lengths.items() if length > 60}
    assert median(lengths.values()) <= 12


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_no_module_draws_from_the_global_generator_or_hashes_by_chance(path: Path) -> None:
    """`random.random()`, `numpy.random.seed()` and `hash()` would make runs differ."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        assert called != "hash", f"line {node.lineno}"
        assert not re.match(r"(np|numpy)\.random\.(?!default_rng\b)", called), f"line {node.lineno}: {called}"
        assert not called.startswith("random.") or called.startswith("random.Random"), f"line {node.lineno}: {called}"
