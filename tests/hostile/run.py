"""Play many hostile actions: `python -m tests.hostile.run --count 100000`.

Prints how many there were, how many calls were invalid or refused, and how many episodes were replayed. The first
action that breaks a promise ends the run with its traceback.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as with_seed
from hypothesis import strategies as st
from rich.console import Console
from rich.progress import Progress

from telegym.core.environment import Environment
from telegym.core.messages import Message
from telegym.envs.registry import make_environment
from tests.hostile.checker import Checker, walk
from tests.hostile.strategies import actions

BATCH = 25


def hostile_checker(environment: Environment, tasks: int = 50) -> tuple[Checker, st.SearchStrategy[str | Message]]:
    """Return a checker over tasks spread over the environment, and actions that know its tools and records."""
    stride = max(1, len(environment.tasks) // tasks)
    chosen = [environment.tasks[index] for index in range(0, len(environment.tasks), stride)][:tasks]
    checker = Checker(environment, chosen)
    toolkit = environment.toolkit(chosen[0])
    schemas = {tool.name: tool.parameters for tool in toolkit if tool.kind != "control"}
    dump = environment.build_world(chosen[0], 1).dump()
    words = sorted({value for value in walk(dump) if isinstance(value, str) and 0 < len(value) <= 30})[:80]
    return checker, actions(schemas, words or ["x"])


def attack(
    environment: Environment, count: int, seed: int = 0, on_batch: Callable[[int], None] | None = None
) -> Checker:
    """Play `count` hostile actions, in batches that are one episode each unless it ends earlier."""
    checker, action = hostile_checker(environment)
    batches = max(1, count // BATCH)

    @with_seed(seed)
    @settings(
        max_examples=batches,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(action, min_size=BATCH, max_size=BATCH))
    def batch(hostile: Sequence[str | Message]) -> None:
        checker.fresh()
        checker.play(hostile)
        checker.check_trajectory()
        if on_batch is not None:
            on_batch(len(hostile))

    batch()
    return checker


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=100_000, help="how many actions")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--env", default="tau2-telecom")
    parser.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="an option of the environment"
    )
    chosen = parser.parse_args()
    options = dict(pair.split("=", 1) for pair in chosen.option)
    screen = Console(stderr=True)
    with Progress(console=screen) as bar:
        job = bar.add_task("hostile actions", total=chosen.count)
        checker = attack(
            make_environment(chosen.env, **options), chosen.count, chosen.seed, lambda number: bar.advance(job, number)
        )
    found = {name: getattr(checker, name) for name in ("actions", "invalid", "refused", "episodes", "replays")}
    Console().print_json(json.dumps(found))


if __name__ == "__main__":
    main()
