from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from telegym.agents.base import Action, Agent, agent_names, make_agent, register_agent
from telegym.agents.oracle import OracleAgent
from telegym.core.episode import Episode
from telegym.core.errors import ConfigurationError
from tests.toy import Toy


class Quiet(Agent):
    """Says nothing, under the name it is given."""

    def __init__(self, name: str, loud: bool = False) -> None:
        self.name = name
        self.loud = loud

    def act(self, episodes: Sequence[Episode]) -> list[Action]:
        return [""] * len(episodes)


def test_names_show_what_follows_the_colon() -> None:
    assert {"oracle", "random", "human", "nano", "replay:FILE", "local:PATH", "openai:MODEL"} <= set(agent_names())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("orcale", r"no agent 'orcale'.*openai:MODEL.*Did you mean 'oracle'\?"),
        ("openai", "needs an argument: openai:MODEL"),
        ("openai:", "needs an argument: openai:MODEL"),
        ("oracle:x", "takes no argument, but was given 'x'"),
        ("", "no agent ''"),
    ],
)
def test_wrong_specifications_are_explained(spec: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_agent(spec)


def test_unknown_options_are_explained() -> None:
    with pytest.raises(ConfigurationError, match=r"no option 'sed'; valid: seed, talk. Did you mean 'seed'\?"):
        make_agent("random", sed=1)


def test_a_new_agent_can_be_registered() -> None:
    register_agent("quiet", f"{__name__}:Quiet", argument="NAME")
    register_agent("quiet", f"{__name__}:Quiet", argument="NAME")
    agent = make_agent("quiet:a:b", loud=True)
    assert isinstance(agent, Quiet)
    assert (agent.name, agent.loud) == ("a:b", True)
    with pytest.raises(ConfigurationError, match="no option 'name'"):
        make_agent("quiet:a", name="b")
    with pytest.raises(ConfigurationError, match="is already"):
        register_agent("quiet", "other:Quiet")


@pytest.mark.parametrize(("name", "entry"), [("a:b", "m:c"), ("", "m:c"), ("fresh", "m.c")])
def test_malformed_registrations_are_refused(name: str, entry: str) -> None:
    with pytest.raises(ConfigurationError):
        register_agent(name, entry)


def test_streams_differ_by_seed_task_episode_and_turn_only() -> None:
    env = Toy()

    def draw(agent_seed: int, task: int, seed: int, turns: int) -> float:
        agent, episode = Quiet("a"), Episode(env, env.tasks[task], seed)
        agent.seed = agent_seed
        for _ in range(turns):
            episode.step("")
        return agent.stream(episode).random()

    base = draw(0, 0, 0, 0)
    assert base == draw(0, 0, 0, 0)
    assert len({base, draw(1, 0, 0, 0), draw(0, 1, 0, 0), draw(0, 0, 1, 0), draw(0, 0, 0, 1)}) == 5


def test_plain_agents_are_made_by_name(tmp_path: Path) -> None:
    file = tmp_path / "none.jsonl"
    file.write_text("")
    made = [make_agent(spec).name for spec in ("oracle", "expert", "random", "human", f"replay:{file}")]
    assert made == ["oracle", "expert", "random", "human", "replay"]
    assert isinstance(make_agent("oracle"), OracleAgent)
