"""How likely a policy finds the reference answer where a rollout has its own (RLPR, arXiv 2506.18254).

The reference takes the place of the run's answer: between tags, in a box, as the argument of the call that submits it,
or as the whole of the last message. What precedes that place is kept as it was sampled; only a token that reaches into
the place is written anew. Without reasoning, the same opening of an answer follows the prompt at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, Protocol, runtime_checkable

from telegym.agents.prompting import ChatCodec
from telegym.agents.signals import Baseline, Question, reference_probabilities, sequence_of
from telegym.agents.training.rollouts import Transcript
from telegym.core.environment import Environment
from telegym.core.errors import ConfigurationError
from telegym.core.task import Task
from telegym.rewards.answer.extraction import Extraction, Source
from telegym.rewards.base import Run, Signals

__all__ = ["AnswersQuestions", "Place", "References", "place_of", "transcript_of"]

_CALL = '<tool_call>\n{{"name": "{tool}", "arguments": {{"{argument}": "'


@runtime_checkable
class AnswersQuestions(Protocol):
    """An environment that knows the right answers."""

    extraction: Extraction
    """Where an answer is looked for."""

    def right_answer(self, task: Task) -> str | float:
        """Return the right answer to a task."""
        ...


class Place(NamedTuple):
    """Where an answer stands."""

    turn: int
    """Number of the model's turn, from 0."""
    offset: int
    """Characters of that turn before the answer."""
    opening: str
    """What opens an answer there, the tag for example."""
    quoted: bool = False
    """Whether the answer is within a string of JSON."""


def place_of(extraction: Extraction, run: Run, texts: Sequence[str]) -> Place | None:
    """Return where a run has its answer; None if it has none.

    Args:
        extraction: Where the environment looks for answers.
        run: The run.
        texts: What the model wrote, turn by turn.
    """
    found = extraction.of(run)
    if found.text is None or not texts:
        return None
    if found.source is Source.TOOL:
        return _submitted(extraction, texts)
    last = len(texts) - 1
    pattern = {Source.TAG: rf"<{re.escape(extraction.tag)}>", Source.BOXED: r"\\(?:boxed|fbox)\s*\{"}
    if found.source in pattern:
        openings = list(re.finditer(pattern[found.source], texts[last], re.IGNORECASE))
        return Place(last, openings[-1].end(), openings[-1].group()) if openings else None
    thought = list(re.finditer(r"</think(?:ing)?>\s*", texts[last], re.IGNORECASE))
    return Place(last, thought[-1].end() if thought else 0, "")


def _submitted(extraction: Extraction, texts: Sequence[str]) -> Place | None:
    names = "|".join(re.escape(name) for name in extraction.tools)
    opening = re.compile(
        rf'(?:<tool_call>\s*)?\{{\s*"name"\s*:\s*"(?:{names})".*?"{re.escape(extraction.argument)}"\s*:\s*(?P<quote>"?)',
        re.DOTALL,
    )
    for turn in range(len(texts) - 1, -1, -1):
        calls = list(opening.finditer(texts[turn]))
        if calls:
            return Place(turn, calls[-1].end(), calls[-1].group(), bool(calls[-1]["quote"]))
    return None


def transcript_of(codec: ChatCodec, run: Run) -> Transcript:
    """Return a run as the tokens that a model would have written and read."""
    ids, mask = sequence_of(codec, run)
    start = mask.index(1) if 1 in mask else len(mask)
    made = Transcript(run.episode, ids[:start], ids[start:], mask[start:])
    begun = None
    for place, sampled in enumerate([*made.mask, 0]):
        if sampled and begun is None:
            begun = place
        # Two turns without an answer in between do not occur: an end token closes each.
        if begun is not None and not sampled:
            made.turns.append((begun, place))
            begun = None
    return made


class References:
    """Tells runs how likely their reference answers are, with their reasoning and without any.

    Args:
        codec: The model's codec.
        environment: Knows the right answers.
        first: The first policy, whose probabilities without reasoning are the baseline; None if none is needed.
        first_only: Entered while the first policy is asked, where it is the present one without its adapter.
        tokens: The most tokens in one forward pass.

    Raises:
        ConfigurationError: If the environment knows no right answers.
    """

    def __init__(
        self,
        codec: ChatCodec,
        environment: Environment,
        first: Any = None,
        first_only: Callable[[], AbstractContextManager[Any]] = nullcontext,
        tokens: int = 8192,
    ) -> None:
        if not isinstance(environment, AnswersQuestions):
            raise ConfigurationError(
                f"the rewards go by reference answers, but environment {environment.id!r} has none; sets of questions "
                "(teleqna, telemath) have, as has any environment with `right_answer` and `extraction`"
            )
        self._codec = codec
        self._answers: AnswersQuestions = environment
        self._baseline = Baseline(first, tokens) if first is not None else None
        self._first_only = first_only
        self._tokens = tokens

    def fill(self, model: Any, runs: Sequence[Run], transcripts: Sequence[Transcript]) -> None:
        """Give runs the probabilities of their reference answers.

        A run without an answer has no place for the reference: its probability is 0 there.

        Args:
            model: The present policy.
            runs: The runs.
            transcripts: The tokens of each.
        """
        asked = [self.question(run, item) for run, item in zip(runs, transcripts, strict=True)]
        places = [place for place, (_, answered) in enumerate(asked) if answered]
        found = reference_probabilities(
            model,
            [asked[place][0].reasoned for place in places],
            [asked[place][0].answer for place in places],
            tokens=self._tokens,
        )
        reasoned = dict(zip(places, found, strict=True))
        plain: list[list[float]] = [[] for _ in runs]
        if self._baseline is not None:
            with self._first_only():
                plain = self._baseline.of([question for question, _ in asked])
        for place, run in enumerate(runs):
            run.signals = run.signals or Signals()
            run.signals.reference_probabilities = reasoned.get(place, [0.0])
            run.signals.baseline_probabilities = plain[place]

    def question(self, run: Run, item: Transcript) -> tuple[Question, bool]:
        """Return what is asked about a run, and whether it has a place for the reference."""
        extraction = self._answers.extraction
        turns = [item.completion[start:end] for start, end in item.turns]
        texts = [self._codec.text(turn) for turn in turns]
        place = place_of(extraction, run, texts)
        reference = _written(self._answers.right_answer(run.task), place is None or place.quoted)
        opening = place.opening if place is not None else self._usual(extraction)
        plain = [*item.prompt, *self._encoded(opening)]
        reasoned = plain if place is None else self._before(item, turns[place.turn], texts[place.turn], place)
        return Question(reasoned, plain, self._encoded(reference)), place is not None

    def _before(self, item: Transcript, turn: Sequence[int], text: str, place: Place) -> list[int]:
        """Return the tokens up to a place: those that were sampled, as far as they end before it."""
        kept, head = len(turn), text
        while len(head) > place.offset or not text.startswith(head):
            kept -= 1
            head = self._codec.text(turn[:kept])
        start = item.turns[place.turn][0]
        return [*item.prompt, *item.completion[: start + kept], *self._encoded(text[len(head) : place.offset])]

    def _encoded(self, text: str) -> list[int]:
        return self._codec.turn(text)[:-1]

    @staticmethod
    def _usual(extraction: Extraction) -> str:
        """Return what opens an answer where a run gave none."""
        if Source.TOOL in extraction.sources:
            return _CALL.format(tool=extraction.tools[0], argument=extraction.argument)
        return f"<{extraction.tag}>" if Source.TAG in extraction.sources else ""


def _written(answer: str | float, quoted: bool) -> str:
    text = str(answer)
    return json.dumps(text, ensure_ascii=False)[1:-1] if quoted else text
