"""Lexicon: the words of the scripted user, read once from `texts/lexicon.yaml` and compiled."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

__all__ = ["Lexicon", "grammar", "grammar_table", "lexicon", "load_texts"]

_DOUBLED = (
    *("begin", "cut", "drag", "drop", "flip", "get", "hit", "let", "log", "permit", "pop", "put", "quit", "refit"),
    *("rerun", "reset", "run", "scan", "set", "shut", "skip", "slot", "stop", "submit", "swap", "tap", "unplug"),
)
"""Verbs that double their last letter before -ing and -ed."""


def load_texts(name: str) -> Any:
    """Return the content of the data file `texts/<name>.yaml`."""
    text = resources.files("telegym.agents.users").joinpath("texts", f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@dataclass(frozen=True)
class Lexicon:
    """Compiled patterns."""

    concepts: tuple[tuple[str, re.Pattern[str]], ...]
    """What can be talked about, in order of precedence."""
    verbs: dict[str, re.Pattern[str]]
    """Families of verbs in all their forms."""
    bases: dict[str, re.Pattern[str]]
    """Families of verbs in their base form and as a gerund, at the start of a text."""
    frames: tuple[tuple[str, re.Pattern[str]], ...]
    """How a clause begins, and the mood that gives it."""
    filler: re.Pattern[str]
    """Words at the start of a clause that change nothing."""
    subordinators: tuple[tuple[str, re.Pattern[str]], ...]
    """Words that begin a subordinate clause, by kind."""
    person: dict[str, re.Pattern[str]]
    """Topics about the person and the contract."""
    unknown_topics: dict[str, re.Pattern[str]]
    """Topics no scenario knows anything about."""
    patterns: dict[str, re.Pattern[str]]
    """All other patterns by name."""


def _past(base: str, irregular: dict[str, str]) -> str:
    verb, _, rest = base.partition(" ")
    if verb in irregular:
        past = f"(?:{irregular[verb]})"
    elif verb in _DOUBLED:
        past = f"{verb}{verb[-1]}ed"
    elif verb.endswith("e"):
        past = f"{verb}d"
    else:
        past = f"{verb[:-1]}ied" if re.search(r"[^aeiou]y$", verb) else f"{verb}ed"
    return f"{past} {rest}".strip()


def _gerund(base: str) -> str:
    verb, _, rest = base.partition(" ")
    if verb in _DOUBLED:
        stem = f"{verb}{verb[-1]}"
    elif verb.endswith("e") and not verb.endswith("ee"):
        stem = verb[:-1]
    else:
        stem = verb
    return f"{stem}ing {rest}".strip()


def _third(base: str) -> str:
    verb, _, rest = base.partition(" ")
    ending = "es" if verb.endswith(("s", "sh", "ch", "x", "o")) else "s"
    return f"{verb}{ending} {rest}".strip()


def _either(patterns: Iterable[str]) -> str:
    return "(?:" + "|".join(sorted(set(patterns), key=lambda text: (-len(text), text))) + ")"


def _any_of(value: str | list[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{each})" for each in ([value] if isinstance(value, str) else value)))


def _word(patterns: list[str]) -> re.Pattern[str]:
    return re.compile(r"(?<![\w'])(?:" + "|".join(f"(?:{each})" for each in patterns) + r")(?![\w])")


@cache
def lexicon() -> Lexicon:
    """Return the lexicon; reading and compiling it takes some 100 ms, once."""
    data = load_texts("lexicon")
    irregular: dict[str, str] = data["irregular"]
    families: dict[str, list[str]] = data["verbs"]
    everything = [verb for family in families.values() for verb in family]
    forms = {"verb": _either(everything), "gerund": _either(map(_gerund, everything))}
    forms["past"] = _either(_past(verb, irregular) for verb in everything)

    def fill(text: str) -> str:
        return re.sub(r"\{(verb|gerund|past)\}", lambda found: forms[found[1]], text)

    verbs, bases = {}, {}
    for name, members in families.items():
        all_forms = [form for verb in members for form in (verb, _gerund(verb), _past(verb, irregular), _third(verb))]
        verbs[name] = re.compile(rf"\b{_either(all_forms)}\b")
        bases[name] = re.compile(rf"{_either([*members, *map(_gerund, members)])}\b")
    bases["any"] = re.compile(rf"{forms['verb']}\b(?!')")
    bases["gerund"] = re.compile(rf"{forms['gerund']}\b")
    bases["past"] = re.compile(rf"{forms['past']}\b")
    known = ("concepts", "verbs", "irregular", "fillers", "frames", "subordinate", "person", "unknown_topics")
    return Lexicon(
        concepts=tuple((name, _word(patterns)) for name, patterns in data["concepts"].items()),
        verbs=verbs,
        bases=bases,
        frames=tuple((mood, re.compile(rf"(?:{fill(text)})(?!\w)\s*")) for mood, text in data["frames"]),
        filler=re.compile(rf"(?:{'|'.join(data['fillers'])})(?![\w'])[\s,:;.!-]*"),
        subordinators=tuple(
            (kind, re.compile(rf"\b(?:{fill(text)})(?!\w)")) for kind, text in data["subordinate"].items()
        ),
        person={name: _any_of(pattern) for name, pattern in data["person"].items()},
        unknown_topics={name: re.compile(rf"\b(?:{pattern})") for name, pattern in data["unknown_topics"].items()},
        patterns={name: _any_of(pattern) for name, pattern in data.items() if name not in known},
    )


@cache
def _grammar() -> dict[str, Any]:
    data: dict[str, Any] = load_texts("grammar")
    return data


@cache
def grammar(name: str) -> re.Pattern[str]:
    """Return a turn of phrase of `texts/grammar.yaml` by name."""
    return _any_of(_grammar()[name]) if isinstance(_grammar()[name], str) else re.compile("|".join(_grammar()[name]))


@cache
def grammar_table(name: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return a table of named patterns of `texts/grammar.yaml`."""
    return tuple((key, re.compile(pattern)) for key, pattern in _grammar()[name].items())
