"""Learning from an expert in the states the policy itself comes to (DAgger, arXiv:1011.0686).

The policy plays; before each of its turns the expert is asked what it would do there, and that is what is learnt. So
the policy is shown how to go on after its own mistakes, which demonstrations never make. Some turns may be played by
the expert (the mixture of the paper, whose share falls from round to round), and what was gathered in earlier rounds is
learnt from again.

Experts have to be able to take over from anybody: they are asked in every state anew, and decide from what the episode
shows. A label that the policy wrote anyway is learnt where it stands; any other one is learnt behind the tokens that
led to its state, or only up to the first token in which it differs, in the place of what the policy wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from telegym.agents.prompting import ChatCodec
from telegym.agents.training.stages.items import Example
from telegym.agents.training.stages.playing import PlayingCollector, Scene, TaskRow
from telegym.agents.training.stages.settings import DaggerSettings
from telegym.agents.training.stages.trainer import Collection
from telegym.core.environment import Environment
from telegym.core.episode import EndReason, Episode
from telegym.core.errors import ConfigurationError, TeleGymError
from telegym.core.messages import Message

if TYPE_CHECKING:
    from telegym.agents.generation import SampledTurn

__all__ = ["Adviser", "Apprentice", "DaggerCollector", "Lesson", "adviser_of"]

Adviser = Callable[[Episode], Message | None]
"""Says what to do in any state of an episode; None if it does not know."""


def adviser_of(environment: Environment, who: str) -> Adviser:
    """Return who is asked.

    Args:
        environment: Has experts.
        who: `expert`, `tutor` or `oracle`. Where there is no tutor, the expert is the tutor.

    Raises:
        ConfigurationError: If the environment has nobody of that name.
    """
    if who == "oracle":
        return environment.hint
    names = ("tutor", "expert") if who == "tutor" else (who,)
    found = next((getattr(environment, name) for name in names if hasattr(environment, name)), None)
    if found is None:
        raise ConfigurationError(f"environment {environment.id!r} has no {who} to learn from; there is the oracle")

    def ask(episode: Episode) -> Message | None:
        try:
            advice: Message | None = found(episode)
        except TeleGymError:  # it has nothing left to do
            return None
        return advice

    return ask


@dataclass(slots=True)
class Lesson:
    """One episode, as the policy played it and as the expert would have gone on."""

    episode: Episode
    """The episode."""
    ids: list[int]
    """All tokens."""
    prompt: int
    """How many of them were there before the first turn."""
    mask: list[int] = field(default_factory=list)
    """1 for each token that the expert would have written too."""
    others: list[tuple[int, list[int]]] = field(default_factory=list)
    """Labels that differ from what was played: how many tokens led to the state, and those of the label."""
    targets: dict[int, int] = field(default_factory=dict)
    """Where another token is learnt than stands there, and which one."""
    agreed: list[bool] = field(default_factory=list)
    """For each turn of the policy that has a label, whether it is what the policy wrote."""
    mute: int = 0
    """Turns for which the expert knew nothing, or nothing that leads to success."""
    lost: bool = False
    """Whether the expert could not have solved the task any more."""

    def examples(self) -> list[Example]:
        """Return what is to be learnt."""
        targets = []
        if self.targets:
            targets = [self.targets.get(place, self.ids[place]) for place, own in enumerate(self.mask) if own]
        found = [Example(self.ids, self.mask, targets=targets)] if any(self.mask) else []
        return found + [
            Example(self.ids[:start] + label, [0] * start + [1] * len(label)) for start, label in self.others
        ]


class Apprentice:
    """Plays episodes turn by turn and asks an expert at every turn.

    Args:
        codec: Turns episodes into tokens.
        episodes: What is played; none has begun.
        adviser: The expert.
        share: Probability that a turn is played by the expert.
        seeds: For each episode, the seed that decides which turns these are.
        completion_tokens: The most tokens after the prompt; an episode that would need more is cut off.
        winnable: Whether only labels count from which on the expert solves the task.
        whole: Whether labels that differ are learnt as a whole, and not only up to the first difference.
        on_end: Called for each episode that has ended.
    """

    def __init__(
        self,
        codec: ChatCodec,
        episodes: Sequence[Episode],
        adviser: Adviser,
        share: float,
        seeds: Sequence[str],
        completion_tokens: int,
        winnable: bool = False,
        whole: bool = True,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._codec = codec
        self._adviser = adviser
        self._share = share
        self._rngs = [Random(f"{seed}/expert") for seed in seeds]
        self._limit = completion_tokens
        self._winnable = winnable
        self._whole = whole
        self._on_end = on_end
        self.lessons: list[Lesson] = []
        for episode in episodes:
            ids = codec.prompt(episode)
            self.lessons.append(Lesson(episode, ids, len(ids), [0] * len(ids)))

    def begin(self) -> list[list[int] | None]:
        """Play the expert's turns at the beginnings; return the tokens of each episode, None where it is over."""
        return [list(lesson.ids) if self._lead(place) else None for place, lesson in enumerate(self.lessons)]

    def answer(self, place: int, turn: SampledTurn) -> list[int] | None:
        """Play a turn of the policy and the expert's turns after it.

        Args:
            place: Which episode.
            turn: What the policy wrote.

        Returns:
            The tokens up to the policy's next turn, or None if the episode is over.
        """
        lesson = self.lessons[place]
        room = self._limit - (len(lesson.ids) - lesson.prompt)
        ids, cut = turn.ids[:room], len(turn.ids) > room or not turn.complete
        self._label(lesson, ids)
        if cut:
            self._end(lesson)
            return None
        start = len(lesson.ids)
        if not self._answer(lesson, self._codec.text(ids)) or not self._lead(place):
            return None
        return lesson.ids[start:]

    def _label(self, lesson: Lesson, ids: list[int]) -> None:
        """Learn what the expert would do here, and go on with what the policy wrote."""
        advice = self._advice(lesson)
        label = self._codec.turn(advice) if advice is not None else []
        same = _common(label, ids)
        agreed = same == len(label) == len(ids)
        start, learnt = len(lesson.ids), len(ids) if agreed else 0
        if advice is not None:
            lesson.agreed.append(agreed)
        if label and not agreed and self._whole:
            lesson.others.append((start, label))
        elif label and not agreed and same < min(len(label), len(ids)):
            lesson.targets[start + same] = label[same]
            learnt = same + 1
        lesson.ids = lesson.ids + ids
        lesson.mask = lesson.mask + [1] * learnt + [0] * (len(ids) - learnt)

    def _lead(self, place: int) -> bool:
        """Play turns of the expert as long as it is its turn; return whether the episode goes on."""
        lesson, rng = self.lessons[place], self._rngs[place]
        while rng.random() < self._share:
            label = self._advice(lesson)
            if label is None:
                return True
            ids = self._codec.turn(label)
            lesson.ids, lesson.mask = lesson.ids + ids, lesson.mask + [1] * len(ids)
            if not self._answer(lesson, label):
                return False
        return True

    def _advice(self, lesson: Lesson) -> Message | None:
        label = None if lesson.lost else self._adviser(lesson.episode)
        if label is not None and self._winnable and not self._wins(lesson.episode):
            lesson.lost, label = True, None
        lesson.mute += label is None
        return label

    def _wins(self, episode: Episode) -> bool:
        """Return whether the expert would solve the task from here."""
        copy = episode.fork()
        while not copy.done and (message := self._adviser(copy)) is not None:
            copy.step(message)
        return copy.done and copy.score().success

    def _answer(self, lesson: Lesson, action: str | Message) -> bool:
        """Let the episode answer; return whether it goes on."""
        messages = lesson.episode.step(action)
        if lesson.episode.done:
            self._end(lesson)
            return False
        suffix = self._codec.suffix(messages)
        if len(lesson.ids) - lesson.prompt + len(suffix) >= self._limit:
            self._end(lesson)
            return False
        lesson.ids, lesson.mask = lesson.ids + suffix, lesson.mask + [0] * len(suffix)
        return True

    def _end(self, lesson: Lesson) -> None:
        if not lesson.episode.done:
            lesson.episode.truncate(EndReason.TOKEN_LIMIT)
        self._on_end()


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many tokens two turns have in common before they differ."""
    pairs = zip(first, second, strict=False)
    return next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))


class DaggerCollector(PlayingCollector[DaggerSettings]):
    """Plays tasks and asks the expert.

    Args:
        scene: Where it plays.
        settings: How many, and who is asked.
    """

    def __init__(self, scene: Scene, settings: DaggerSettings) -> None:
        super().__init__(scene, settings)
        self._adviser = adviser_of(scene.environment, settings.expert)

    def play(self, model: Any, number: int, rows: Sequence[TaskRow], found: Collection) -> list[Episode]:
        """Play tasks, and note what the expert would have done."""
        episodes = [self._scene.episode(row) for row in rows]
        lessons = self._lessons(model, number, episodes, self._scene.seeds(number, rows))
        for row, lesson in zip(rows, lessons, strict=True):
            found.items += [(row.number, example) for example in lesson.examples()]
            found.figures.setdefault("dagger/agreement", []).extend(map(float, lesson.agreed))
            found.figures.setdefault("dagger/labels", []).append(float(len(lesson.agreed)))
            found.figures.setdefault("dagger/mute", []).append(float(lesson.mute))
        return episodes

    def _lessons(self, model: Any, number: int, episodes: Sequence[Episode], seeds: Sequence[str]) -> list[Lesson]:
        settings = self._settings
        with self._scene.context.progress(f"round {number + 1}, labels", len(episodes)) as bar:
            apprentice = Apprentice(
                self._scene.codec,
                episodes,
                self._adviser,
                settings.expert_share * settings.expert_decay**number,
                seeds,
                self._scene.context.recipe.rollout.completion_tokens,
                settings.winnable,
                settings.labels == "whole",
                bar.advance,
            )
            begun = {place: ids for place, ids in enumerate(apprentice.begin()) if ids is not None}
            places = list(begun)
            self._scene.engine(model).run(
                list(begun.values()),
                [seeds[place] for place in places],
                lambda turns: [apprentice.answer(places[turn.index], turn) for turn in turns],
            )
        return apprentice.lessons
