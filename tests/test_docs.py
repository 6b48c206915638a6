"""Every example of the README and the documentation is executed, and prints what it says.

Python blocks of a page share their names and run in order; a block whose first line is `# NAME.py` is that file. An
`output` block is what the block before it prints. In a console block, lines after a command are its output, `…` stands
for anything. A block after `<!-- not executed: REASON -->` is left alone.
"""

from __future__ import annotations

import contextlib
import fnmatch
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(
    r"(?P<skip><!-- not executed: .+? -->\s*\n)?^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    """One fenced block."""

    language: str
    body: str
    line: int
    skipped: bool


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(match["language"], match["body"], text.count("\n", 0, match.start("body")), bool(match["skip"]))
        for match in _FENCE.finditer(text)
    ]


def _has_examples(page: Path) -> bool:
    return any(block.language in ("python", "console") and not block.skipped for block in blocks(page))


@pytest.mark.parametrize("page", [page for page in PAGES if _has_examples(page)], ids=lambda page: page.stem)
def test_the_examples_of_a_page_do_what_they_say(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = ""
    before = set(sys.modules)
    for block in blocks(page):
        if block.skipped:
            continue
        if block.language == "python":
            printed = _run_python(page, block, names)
        elif block.language == "output":
            _compare(page, block, block.body, printed)
        elif block.language == "console":
            _run_console(page, block)
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def _run_python(page: Path, block: Block, names: dict[str, Any]) -> str:
    first = block.body.partition("\n")[0]
    if re.fullmatch(r"# \w+\.py", first):
        Path(first[2:]).write_text(block.body, encoding="utf-8")
    output = io.StringIO()
    code = compile("\n" * block.line + block.body, str(page), "exec")
    with contextlib.redirect_stdout(output):
        exec(code, names)
    return output.getvalue()


def _run_console(page: Path, block: Block) -> None:
    for command, expected in _commands(block.body):
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "200"}
        done = subprocess.run(
            command, shell=True, capture_output=True, text=True, timeout=300, env=environment, check=False
        )
        assert done.returncode == 0, f"{page.name}, line {block.line}: {command}\n{done.stderr}"
        if expected:
            _compare(page, block, expected, done.stdout)


def _commands(body: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield command, expected


def _compare(page: Path, block: Block, expected: str, printed: str) -> None:
    pattern = re.sub(r"([\[\]?*])", r"[\1]", expected.strip()).replace("…", "*")
    lines = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    assert fnmatch.fnmatchcase(lines, pattern), (
        f"{page.name}, line {block.line}: expected\n{expected}\nprinted\n{printed}"
    )


def test_every_page_is_linked_from_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    missing = [page.name for page in (ROOT / "docs").glob("*.md") if page.name != "index.md" and page.name not in index]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_two_commands_of_the_readme_are_targets() -> None:
    for target in ("train", "test"):
        assert f"make {target}" in (ROOT / "README.md").read_text(encoding="utf-8")
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_pins_cover_what_the_project_asks_for() -> None:
    """Every dependency of `.[train,dev]` is pinned, each once, without hosts, paths or local builds."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [
        *project["dependencies"],
        *project["optional-dependencies"]["train"],
        *project["optional-dependencies"]["dev"],
    ]
    names = {re.split(r"[<>=\[ ]", requirement)[0].lower().replace("_", "-") for requirement in asked}
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in lines)
    pinned = [line.partition("==")[0].lower().replace("_", "-") for line in lines]
    assert len(set(pinned)) == len(pinned)
    assert names <= set(pinned)
