"""Prompts of judges: templates beside this file, by language and name, each with a version.

A template has a block `system` and a block `user`. What is the same for many runs (the judge's rules, the policy, the
tools) comes first, so that servers can keep it; what differs comes last.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal, get_args

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.core.messages import Message
from telegym.core.world import sha256_hex
from telegym.rewards.grm.judge_input import JudgeInput, neutralise
from telegym.rewards.verdict import Code

if TYPE_CHECKING:
    import jinja2

__all__ = ["LANGUAGES", "Language", "PromptName", "Style", "prompt_messages", "prompt_version", "reask_message"]

Language = Literal["en", "zh"]
"""Language of the prompts."""
LANGUAGES: tuple[Language, ...] = get_args(Language)
PromptName = Literal["answer", "trajectory", "listwise", "uncertain", "reference", "again"]
"""What is asked: about one answer; about one run; about several runs together; about an answer, with how sure the judge
is; the same with an acceptable answer at hand; for the JSON alone."""
Style = Literal["text", "json", "scores", "preference"]
"""Form of the reply: analysis, JSON and box; JSON alone; a list of scores (DeepSeek-GRM); one label (RM-R1)."""

_NAMES: tuple[str, ...] = get_args(PromptName)
_PARTS = ("principles", "rubrics", "output", "codes")
_VERSION = re.compile(r"\{#\s*version:\s*(\d+)")


@lru_cache(maxsize=1)
def _templates() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("telegym.rewards.grm", "prompts"),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _source(language: str, name: str) -> str:
    if language not in LANGUAGES:
        raise ConfigurationError(f"no prompts in language {language!r}; valid: {', '.join(LANGUAGES)}")
    if name not in (*_NAMES, *_PARTS):
        hint = did_you_mean(name, _NAMES)
        raise ConfigurationError(f"no prompt {name!r}; valid: {', '.join(_NAMES)}.{hint}")
    return resources.files("telegym.rewards.grm").joinpath("prompts", language, f"{name}.jinja").read_text("utf-8")


@lru_cache(maxsize=32)
def prompt_version(name: PromptName, language: Language) -> str:
    """Return the version of a prompt: its name, language and number, and a digest of its texts.

    Raises:
        ConfigurationError: If there is no such prompt, or its template has no version.
    """
    source = _source(language, name)
    match = _VERSION.match(source)
    if match is None:
        raise ConfigurationError(f"the template of prompt {name!r} in {language!r} does not begin with a version")
    texts = "\0".join([source, *(_source(language, part) for part in _PARTS)])
    return f"{name}/{language}/{match[1]}-{sha256_hex(texts)[:8]}"


def _render(name: PromptName, language: Language, variables: Mapping[str, Any]) -> tuple[Message, ...]:
    _source(language, name)
    template = _templates().get_template(f"{language}/{name}.jinja")
    context = template.new_context(dict(variables))
    texts = {role: "".join(template.blocks[role](context)).strip() for role in template.blocks}
    return tuple(Message(role=role, content=texts[role]) for role in ("system", "user") if texts.get(role))


def prompt_messages(
    name: PromptName,
    inputs: Sequence[JudgeInput],
    *,
    language: Language = "en",
    style: Style = "text",
    principles: bool = False,
) -> tuple[Message, ...]:
    """Return the conversation that asks a judge.

    Args:
        name: What is asked.
        inputs: What is judged: one input, or several for `listwise`.
        language: Language of the prompt.
        style: Form of the reply.
        principles: Whether the judge first names the checks that matter most.

    Raises:
        ConfigurationError: If there is no such prompt or language.
    """
    first = inputs[0]
    return _render(
        name,
        language,
        {
            "policy": neutralise(first.policy),
            "tools": [neutralise(tool) for tool in first.tools],
            "codes": [code.value for code in Code],
            "task": first.fence(neutralise(first.task)),
            "runs": [item.fence(item.transcript()) for item in inputs],
            "answers": [item.fence(neutralise(item.answer or "")) for item in inputs],
            "reference": first.fence(neutralise(first.reference or "")),
            "rubrics": [neutralise(rubric) for rubric in first.rubrics],
            "is_answer": first.answer is not None,
            "calls": first.calls,
            "count": len(inputs),
            "style": style,
            "principles": principles,
        },
    )


def reask_message(language: Language, problem: str, fields: Sequence[str]) -> Message:
    """Return the words that ask a judge once more, for the JSON alone.

    Args:
        language: Language of the prompt.
        problem: Why its reply could not be read.
        fields: The fields the JSON must have.
    """
    (message,) = _render("again", language, {"problem": problem, "fields": fields})
    return message
