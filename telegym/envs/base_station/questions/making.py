"""Questions about a network: choosing one, wording it, and answering it as a reference.

A question is only asked if its answer stays the same for some minutes, so that nobody is wrong because time goes on
while they look it up.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from itertools import islice
from typing import Any

import yaml

from telegym.core.errors import ConfigurationError, did_you_mean
from telegym.envs.base_station.engine import MINUTE_S
from telegym.envs.base_station.network import Network
from telegym.envs.base_station.noise import choice, integer, mix, shuffled, uniform
from telegym.envs.base_station.players.steps import Call, Steps
from telegym.envs.base_station.questions import administration, connections, hardware, performance, power, radio
from telegym.envs.base_station.questions.checking import check_answer
from telegym.envs.base_station.questions.expected import NOT_AVAILABLE, Expected, nothing
from telegym.envs.base_station.questions.reading import Answer, Unanswerable
from telegym.envs.base_station.questions.template import Slots, Template

__all__ = [
    "LANGUAGES",
    "UNANSWERABLE_SHARE",
    "Question",
    "ask",
    "make_question",
    "question_of",
    "template",
    "templates",
]

LANGUAGES = ("en", "zh")
VARIANTS = ("A", "B")
"""Sets of sentences: one to learn from, one to be judged by."""
UNANSWERABLE_SHARE = 0.05
"""Share of questions without an answer."""
SPECIAL_SHARE = 0.5
"""Share of questions that are, where possible, about something that is not as it should be."""
MAX_SUBJECTS = 150
"""Most subjects that are tried for one template."""
_NUMBER = re.compile(r"\d+")
_BETWEEN_CHARACTERS = re.compile(r"(?<=[\u4e00-\u9fff]) (?=[\u4e00-\u9fff])")
"""Spaces where Chinese has none."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a network."""

    template: str
    """Which template it was made from."""
    level: int
    """How hard it is, 0 to 2."""
    text: str
    """What is asked."""
    slots: Slots
    """What the text names."""
    expected: dict[str, Any]
    """The right answer, for `check_answer`; hidden from agents."""
    language: str = "en"
    """Language of the text."""
    variant: str = "A"
    """Set of sentences it was taken from."""
    profile: str = "qa"
    """Tools that suffice to answer it."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values; `Question(**values)` makes it again."""
        return asdict(self)


@cache
def templates() -> dict[str, Template]:
    """Return all templates by id, in their order."""
    modules = (administration, connections, hardware, performance, power, radio)
    found = {item.id: item for module in modules for item in module.TEMPLATES}
    return dict(sorted(found.items()))


def template(name: str) -> Template:
    """Return a template.

    Raises:
        ConfigurationError: If there is none of this id.
    """
    if name not in templates():
        raise ConfigurationError(f"no question template {name!r}.{did_you_mean(name, templates())}")
    return templates()[name]


# --- making -----------------------------------------------------------------------------------------------


def make_question(
    network: Network,
    seed: int,
    *,
    language: str = "en",
    variant: str = "A",
    level: int | None = None,
    only: Collection[str] | None = None,
) -> Question:
    """Return a question about a network; one in twenty has no answer.

    Args:
        network: The network at the time of the question; it stays as it is.
        seed: Decides what is asked.
        language: Language of the text, `en` or `zh`.
        variant: Set of sentences, `A` or `B`.
        level: Asks questions of this level only.
        only: Ids of templates to choose from; None for all.

    Raises:
        ConfigurationError: If none of the templates can be asked in the network.
    """
    wanted = [
        item for item in templates().values() if level in (None, item.level) and (only is None or item.id in only)
    ]
    if uniform(seed, "unanswerable") < UNANSWERABLE_SHARE:
        for item in shuffled(wanted, seed, "template"):
            if found := question_of(item.id, network, seed, language=language, variant=variant, answerable=False):
                return found
    for item in _order(wanted, seed):
        if (found := question_of(item.id, network, seed, language=language, variant=variant)) is not None:
            return found
    raise ConfigurationError(f"none of {', '.join(item.id for item in wanted) or 'no templates'} can be asked here")


def _order(wanted: list[Template], seed: int) -> list[Template]:
    """Return templates in the order in which they are tried: in half of all cases first those about what is wrong.

    Else what can be asked anywhere would crowd out what only few networks can be asked.
    """
    order = shuffled(wanted, seed, "template")
    if uniform(seed, "special") < SPECIAL_SHARE:
        order.sort(key=lambda item: not item.special)
    return order


def question_of(
    name: str, network: Network, seed: int, *, language: str = "en", variant: str = "A", answerable: bool = True
) -> Question | None:
    """Return a question of one template; None if it cannot be asked in the network.

    Args:
        name: Id of the template.
        network: The network at the time of the question; it stays as it is.
        seed: Decides what is asked.
        language: Language of the text, `en` or `zh`.
        variant: Set of sentences, `A` or `B`.
        answerable: False for a question about something that does not exist or lacks what is asked about.

    Raises:
        ConfigurationError: If there is no such template, language or variant.
    """
    if language not in LANGUAGES or variant not in VARIANTS:
        raise ConfigurationError(f"no texts {language!r} {variant!r}; valid: {LANGUAGES} and {VARIANTS}")
    chosen, own = template(name), mix(seed, name)
    found = _answerable(chosen, network, own) if answerable else _unanswerable(chosen, network, own)
    if found is None:
        return None
    slots, expected = found
    text = _worded(name, slots, mix(seed, "wording"), language, variant)
    return Question(name, chosen.level, text, slots, expected.as_dict(), language, variant, chosen.profile)


def _answerable(item: Template, network: Network, seed: int) -> tuple[Slots, Expected] | None:
    """Return the first subject with an answer that stays true long enough."""
    later: Network | None = None
    for slots in islice(item.subjects(network, seed), MAX_SUBJECTS):
        expected = item.truth(network, slots)
        if expected is None:
            continue
        if later is None:
            later = network.fork()
            later.advance(item.horizon_min * MINUTE_S)
        then = item.truth(later, slots)
        if then is not None and check_answer(expected.as_dict(), then.text):
            return slots, expected
    return None


def _unanswerable(item: Template, network: Network, seed: int) -> tuple[Slots, Expected] | None:
    options: list[Iterator[Slots]] = []
    if item.lacking is not None:
        options.append(item.lacking(network, seed))
    if item.unknown:
        options.append(_about_nobody(item, network, seed))
    for option in shuffled(options, seed, "lack"):
        slots = next(option, None)
        if slots is not None:
            return slots, nothing()
    return None


def _about_nobody(item: Template, network: Network, seed: int) -> Iterator[Slots]:
    """Yield the slots of a question about an element that does not exist."""
    slots = next(item.subjects(network, seed), None)
    if slots is None:
        return
    for attempt in range(20):
        made_up = _NUMBER.sub(f"{integer(15, 40, seed, 'number', attempt):03}", str(slots[item.unknown]), count=1)
        if made_up not in network.objects:
            yield {**slots, item.unknown: made_up}


# --- wording ----------------------------------------------------------------------------------------------

Texts = Mapping[str, Any]


@cache
def texts(language: str) -> Texts:
    """Return the sentences of a language: by template and set, and remarks that belong to all questions."""
    file = resources.files("telegym.envs.base_station").joinpath("texts", language, "questions.yaml")
    found: Texts = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def _worded(name: str, slots: Slots, seed: int, language: str, variant: str) -> str:
    known = texts(language)
    said = choice(known[name][variant], seed, name)
    form = known[name]["form"]
    hint = choice(known["unanswerable"][variant], seed, "hint")
    shown = {key: _shown(known, name, key, value) for key, value in slots.items()}
    spoken = (said.format(**shown), form.format(**shown), hint)
    return _BETWEEN_CHARACTERS.sub("", "".join(spoken)) if language == "zh" else " ".join(spoken)


def _shown(known: Texts, name: str, key: str, value: Any) -> str:
    """Return a slot as it stands in a text; some values have words of their own in each language."""
    words = known[name].get("words", {}).get(key)
    if words is not None:
        return str(words[str(value)]) if str(value) in words else str(value)
    if isinstance(value, list):
        return str(known["comma"]).join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


# --- the reference ----------------------------------------------------------------------------------------


def ask(question: Question) -> Steps[Answer]:
    """Answer a question as a reference: from what tools print, ending with `submit_answer`.

    Args:
        question: The question; its expectation is not looked at.
    """
    try:
        answer = yield from template(question.template).procedure(question.slots)
    except Unanswerable:
        answer = Answer(NOT_AVAILABLE)
    arguments = {"answer": answer.text, **({"unit": answer.unit} if answer.unit else {})}
    yield Call("submit_answer", arguments)
    return answer
