"""A judge made from nothing: a small model taught whether an answer names the right state of a cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from telegym.agents.prompting import ChatCodec, PromptProfile
from telegym.agents.training.scoring import score_tokens
from telegym.core.messages import Message
from telegym.rewards.answer.text import AnswerQuery
from telegym.rewards.grm.judge_input import answer_input
from telegym.rewards.grm.prompting import prompt_messages
from tests.vllm.model import write_model

CONTEXT = 2048


def query(number: int, right: bool) -> AnswerQuery:
    """Return a question with an answer that is right or wrong."""
    return AnswerQuery(f"Cell {number} serves traffic. Is it up or down?", "It is up." if right else "It is down.")


def reply(right: bool) -> str:
    """Return what the judge shall say."""
    return f"{'Right' if right else 'Wrong'}: \\boxed{{{right:d}}}"


def write_judge(folder: Path, more_texts: Sequence[str] = (), steps: int = 80) -> None:
    """Teach a model, and write it in the transformers format.

    Args:
        folder: Where to.
        more_texts: What its tokenizer has to know besides.
        steps: How long it is taught.
    """
    shown = [(_messages(query(number, right)), reply(right)) for number in range(40) for right in (True, False)]
    texts = [message.content or "" for messages, _ in shown for message in messages]
    write_model(folder, [*texts, *(said for _, said in shown), *more_texts], CONTEXT)
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    codec = ChatCodec(tokenizer, PromptProfile(tools="none", policy="none"))
    examples = [_example(codec, messages, said) for messages, said in shown]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, steps)
    for batch in _batches(examples, steps):
        sequences, masks = zip(*batch, strict=True)
        loss = -score_tokens(model, sequences, masks, tokens=16_384).logprobs.mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        decay.step()
    model.save_pretrained(folder)


def _messages(asked: AnswerQuery) -> tuple[Message, ...]:
    return prompt_messages("answer", [answer_input(asked.question, asked.answer)])


def _example(codec: ChatCodec, messages: Sequence[Message], said: str) -> tuple[torch.Tensor, torch.Tensor]:
    prompt, answer = codec.conversation(messages), codec.turn(said)
    return torch.tensor([*prompt, *answer]), torch.arange(len(prompt) + len(answer)) >= len(prompt)


def _batches(
    examples: Sequence[tuple[torch.Tensor, torch.Tensor]], steps: int, size: int = 8
) -> Iterator[list[tuple[torch.Tensor, torch.Tensor]]]:
    order = torch.Generator().manual_seed(0)
    for _ in range(steps):
        yield [examples[int(index)] for index in torch.randperm(len(examples), generator=order)[:size]]
