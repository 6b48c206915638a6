"""Texts of the telecom environment: word lists, sentence templates and policies, read once from package files."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any, cast

import yaml

__all__ = ["phrases", "policy_file"]


@cache
def phrases(name: str) -> dict[str, Any]:
    """Return the content of `texts/<name>.yaml`."""
    return cast(dict[str, Any], yaml.safe_load(_read(f"{name}.yaml")))


@cache
def policy_file(name: str) -> str:
    """Return the text of `texts/<name>.md`, without surrounding blank lines."""
    return _read(f"{name}.md").strip()


def _read(name: str) -> str:
    return resources.files("telegym.envs.tau2_telecom").joinpath("texts", name).read_text(encoding="utf-8")
