"""TelegymEnv: an episode as a Gymnasium environment. Text in, text out.

    env = gymnasium.make("telegym/Tau2Telecom-v0")
    observation, info = env.reset(seed=0, options={"task_id": …})
    observation, reward, terminated, truncated, info = env.step('<tool_call>{"name": …, "arguments": {…}}</tool_call>')

An action is what a model writes, calls included, or one assistant message as JSON (OpenAI format). An observation is
what is new to the agent, as readable text. `info["messages"]` holds what the step added to the conversation in the
OpenAI format, the agent's own message first, so that the lists of all steps together are the chat. The reward is 0
until the episode ends, then the score. Where no score could be given, the reward is 0 and `info["failure"]` says why:
leave such an episode out of training and of averages.
"""

from __future__ import annotations

import json
import marshal
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import gymnasium
from gymnasium.error import ResetNeeded
from pydantic import ValidationError

from telegym.core.environment import Environment
from telegym.core.episode import Episode, Limits
from telegym.core.errors import ConfigurationError, TaskError, did_you_mean
from telegym.core.messages import Message
from telegym.core.parsing import parse_assistant_text
from telegym.core.tool import Tool
from telegym.envs.extended import ExtendedEnvironment
from telegym.envs.registry import make_environment
from telegym.envs.text_space import UnicodeText

__all__ = ["MAX_TEXT", "TelegymEnv", "message_from_json", "render_messages"]

MAX_TEXT = 262_144
"""Length of the longest observation, in characters; a longer one is cut, with a note, but whole in `info`."""

_CUT = "\n[cut here; whole in info]"
_OPTIONS = ("task_id", "episode_seed")


class TelegymEnv(gymnasium.Env[str, str]):
    """An episode behind Gymnasium's interface.

    Options of `reset`: `task_id`, the task to play (otherwise one is drawn), and `episode_seed`, the seed of the
    episode (otherwise `seed`, or one that is drawn).

    Args:
        environment: An environment, or its registered name.
        extra_tools: Tools to offer besides the environment's own.
        limits: Limits of an episode; None takes the environment's.
        record: Whether episodes keep what a trajectory needs.
        render_mode: `ansi` for a transcript as text, or None.
        **options: Options of the environment, where it is given by name.

    Raises:
        ConfigurationError: If the environment or an option is unknown.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi"], "render_fps": 1}  # type: ignore[misc]

    def __init__(
        self,
        environment: str | Environment,
        *,
        extra_tools: Iterable[Tool] = (),
        limits: Limits | Mapping[str, Any] | None = None,
        record: bool = True,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        self.environment = _environment(environment, tuple(extra_tools), options)
        self.limits = _limits(limits)
        self.record = record
        self.render_mode = render_mode
        self.action_space = UnicodeText(MAX_TEXT)
        self.observation_space = UnicodeText(MAX_TEXT)
        self._episode: Episode | None = None
        self._concluded = False
        self._tools: tuple[Any, bytes] = (None, b"")

    @property
    def episode(self) -> Episode:
        """The episode in play.

        Raises:
            ResetNeeded: Before the first reset.
        """
        if self._episode is None:
            raise ResetNeeded("There is no episode yet: call reset() first.")
        return self._episode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: Seeds the draws of this environment, and is the seed of the episode.
            options: `task_id` and `episode_seed`, both optional.

        Returns:
            The policy and the request as text, and an info with `task_id`, `episode_seed`, `messages` and `tools`
            (both in the OpenAI format).

        Raises:
            ConfigurationError: If there is no such option or task.
        """
        super().reset(seed=seed)
        task_id, episode_seed = self._choose(seed, options or {})
        try:
            task = self.environment.tasks.by_id(task_id)
        except TaskError as error:
            raise ConfigurationError(str(error)) from None
        self._episode = Episode(self.environment, task, seed=episode_seed, limits=self.limits, record=self.record)
        self._concluded = False
        opening = [Message(role="system", content=self._episode.system), *self._episode.agent_messages()]
        info = _info(self._episode, opening)
        info["episode_seed"] = episode_seed
        info["tools"] = self._tool_schemas()
        return render_messages(opening), info

    def _choose(self, seed: int | None, options: dict[str, Any]) -> tuple[str, int]:
        """Return the task and the seed of the next episode. Both draws are made whether they are used or not."""
        for option in options:
            if option not in _OPTIONS:
                hint = did_you_mean(option, _OPTIONS)
                raise ConfigurationError(f"reset has no option {option!r}; valid: {', '.join(_OPTIONS)}.{hint}")
        tasks = self.environment.tasks
        position, drawn_seed = self.np_random.integers((len(tasks), 2**31)).tolist()
        task_id = options["task_id"] if "task_id" in options else tasks[position].id
        if not isinstance(task_id, str):
            raise ConfigurationError(f"task_id must be text, not {task_id!r}")
        episode_seed = options.get("episode_seed", drawn_seed if seed is None else seed)
        if type(episode_seed) is not int:
            raise ConfigurationError(f"episode_seed must be an integer, not {episode_seed!r}")
        return task_id, episode_seed

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Play one message of the agent.

        Args:
            action: What the model wrote, calls included, or one assistant message as JSON.

        Returns:
            What is new to the agent, the reward, whether the episode ended in itself or by a limit, and an info with
            `task_id` and `messages`; at the end also `end_reason` and `score`, or `failure`.

        Raises:
            ResetNeeded: If no episode is in play.
        """
        episode = self._episode
        if episode is None or self._concluded:
            raise ResetNeeded("The episode has ended or none has begun: call reset() first.")
        # A user that could not be reached has ended the episode before the first turn: say so now.
        position = len(episode.messages)
        new = [] if episode.done else episode.step(_read_action(action))
        info = _info(episode, [*episode.messages[position : position + 1], *new])
        reward = self._conclude(episode, info) if episode.done else 0.0
        return render_messages(new), reward, episode.terminated, episode.truncated, info

    def render(self) -> str | None:
        """Return the transcript so far as text."""
        if self.render_mode != "ansi":
            return None
        return render_messages(self.episode.messages)

    def _tool_schemas(self) -> list[dict[str, Any]]:
        """Return the agent's tools as fresh objects, which the caller may change."""
        toolkit = self.episode.toolkit
        if self._tools[0] is not toolkit:
            self._tools = (toolkit, marshal.dumps(json.loads(json.dumps(toolkit.schemas("assistant")))))
        schemas: list[dict[str, Any]] = marshal.loads(self._tools[1])
        return schemas

    def _conclude(self, episode: Episode, info: dict[str, Any]) -> float:
        self._concluded = True
        score = episode.score()
        info["end_reason"] = str(episode.end)
        if score.value is None:
            info["failure"] = score.failure.model_dump() if score.failure else {}
            return 0.0
        info["score"] = {
            "value": score.value,
            "success": score.success,
            "components": dict(score.components),
            "reasons": score.reasons,
        }
        return float(score.value)


def _info(episode: Episode, messages: Sequence[Message]) -> dict[str, Any]:
    return {"task_id": episode.task.id, "messages": [message.to_openai() for message in messages]}


def _environment(environment: str | Environment, extra_tools: tuple[Tool, ...], options: Any) -> Environment:
    if isinstance(environment, str):
        environment = make_environment(environment, **options)
    elif options:
        raise ConfigurationError(f"options {', '.join(options)} go with the name of an environment, not with an object")
    return ExtendedEnvironment(environment, extra_tools) if extra_tools else environment


def _limits(limits: Limits | Mapping[str, Any] | None) -> Limits | None:
    if limits is None or isinstance(limits, Limits):
        return limits
    for name in limits:
        if name not in Limits.model_fields:
            valid = ", ".join(Limits.model_fields)
            raise ConfigurationError(f"no limit {name!r}; valid: {valid}.{did_you_mean(name, Limits.model_fields)}")
    return Limits(**limits)


def _read_action(action: Any) -> str | Message:
    if not isinstance(action, str):
        raise TypeError(f"an action is text, not {type(action).__name__}: {action!r:.100}")
    if '"role"' in action and action.lstrip().startswith("{"):
        return message_from_json(action) or action
    return action


def message_from_json(text: str) -> Message | None:
    """Read an assistant message in the OpenAI format.

    Calls that cannot be read become malformed calls, as in text.

    Returns:
        The message, or None if the text is not one (it is then to be read as what a model wrote).
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or value.get("role") != "assistant":
        return None
    content, calls = value.get("content"), value.get("tool_calls") or []
    if not isinstance(calls, list) or not isinstance(content, str | None):
        return None
    found = parse_assistant_text(json.dumps({"tool_calls": calls})).tool_calls if calls else ()
    try:
        return Message(role="assistant", content=content, tool_calls=found)
    except ValidationError:
        return None


def render_messages(messages: Iterable[Message]) -> str:
    """Return messages as text: a line in brackets that says who speaks, then what was said and called."""
    text = "\n\n".join([_render(message) for message in messages])
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - len(_CUT)] + _CUT


def _render(message: Message) -> str:
    if message.role == "tool":
        return f"[tool {message.name}{', error' if message.error else ''}]\n{message.content}"
    lines = [f"[{message.role}]"] if message.content is None else [f"[{message.role}]", message.content]
    lines += [f"-> {call.name}({json.dumps(call.arguments)})" for call in message.tool_calls]
    return "\n".join(lines)
