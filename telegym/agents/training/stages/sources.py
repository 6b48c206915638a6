"""What supervised learning learns from: several sources, mixed by shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, TypeVar

from telegym.agents.prompting import ChatCodec
from telegym.agents.training.sft import Demonstration, demonstrate
from telegym.agents.training.stages.dagger import adviser_of
from telegym.agents.training.stages.recorded import examples_of
from telegym.agents.training.stages.settings import AdvisedSource, AnySource, TrajectorySource
from telegym.core.environment import Environment
from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError
from telegym.core.messages import Message
from telegym.core.user import STOP

if TYPE_CHECKING:
    from telegym.agents.training.context import RunContext

__all__ = ["gather", "mixed"]

T = TypeVar("T")


def gather(
    context: RunContext, codec: ChatCodec, environment: Environment, shown: Callable[[], list[Demonstration]]
) -> list[Demonstration]:
    """Return what a recipe's sources give, mixed.

    Args:
        context: The run.
        codec: Turns episodes into tokens.
        environment: Where experts play.
        shown: Makes the demonstrations of `sft.demonstrations`.

    Raises:
        ConfigurationError: If a source gives nothing.
    """
    sources = context.recipe.sft.sources
    pools = []
    for number, source in enumerate(sources):
        pool = _pool(context, codec, environment, shown, source)
        if not pool:
            raise ConfigurationError(f"sft.sources.{number} ({source.kind}) gives nothing to learn from")
        pools.append(pool * source.repeat)
    return mixed(pools, [source.share for source in sources], f"{context.recipe.seed}/mixture")


def _pool(
    context: RunContext,
    codec: ChatCodec,
    environment: Environment,
    shown: Callable[[], list[Demonstration]],
    source: AnySource,
) -> list[Demonstration]:
    if isinstance(source, TrajectorySource):
        found = examples_of(codec, source, context.recipe.rollout.context)
        return [Demonstration(each.ids, each.mask) for each in found]
    if isinstance(source, AdvisedSource):
        return _advised(context, codec, environment, source)
    return shown()


def _advised(
    context: RunContext, codec: ChatCodec, environment: Environment, source: AdvisedSource
) -> list[Demonstration]:
    """Return episodes of somebody who is asked what to do at every turn."""
    if source.environment is not None:
        common = context.recipe.environment.train if source.over == "train" else {}
        environment = context.environment({**common, **source.environment})
    adviser = adviser_of(environment, source.kind)

    def act(episode: Episode) -> Message:
        return adviser(episode) or Message(role="assistant", content=STOP)

    order = list(range(len(environment.tasks)))
    rng = Random(f"{context.recipe.seed}/{source.kind}")
    chosen = rng.sample(order, min(source.count, len(order)))
    found = []
    with context.progress(f"episodes of the {source.kind}", source.count) as bar:
        for index in range(source.count):
            task = environment.tasks[chosen[index % len(chosen)]]
            episode = Episode(environment, task, rng.getrandbits(31), record=False)
            made = demonstrate(codec, episode, act, context.recipe.rollout.context)
            if made is not None and (not source.success or episode.score().success):
                found.append(made)
            bar.advance()
    return found


def mixed(pools: Sequence[Sequence[T]], shares: Sequence[float | None], seed: str) -> list[T]:
    """Return as much of several pools as can be in the given relation without taking anything twice.

    Args:
        pools: The pools; none is empty.
        shares: The part of each, in relation to the others; where none is given, all of everything is taken.
        seed: Decides what is left out.

    Raises:
        ConfigurationError: If some pools have shares and others have none.
    """
    given = [share for share in shares if share is not None]
    if not given:
        return [item for pool in pools for item in pool]
    if len(given) < len(pools):
        raise ConfigurationError("sft.sources: either all sources have a share, or none has")
    size = min(len(pool) / share for pool, share in zip(pools, given, strict=True))
    found: list[T] = []
    for number, (pool, share) in enumerate(zip(pools, given, strict=True)):
        count = max(1, round(size * share))
        places = sorted(Random(f"{seed}/{number}").sample(range(len(pool)), min(count, len(pool))))
        found += [pool[place] for place in places]
    return found
