"""Guards over the agent's texts as such: padding, stuffing, blank, copied and truncated answers."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

from telegym.rewards.guards.base import Guard, Hit, Severity
from telegym.rewards.guards.reading import Passage, Reading
from telegym.rewards.guards.unmasking import fold
from telegym.rewards.guards.verdicts import patterns

__all__ = ["BlankAnswer", "CopiedQuestion", "KeywordStuffing", "Padding", "TruncatedAnswer"]

_BLANKS = re.compile(r"\s{60,}")
_RUN = re.compile(r"(\S)\1{39,}|\b(\w+)\b(?:\W+\2\b){5,}", re.IGNORECASE)
_SENTENCES = re.compile(r"[.!?。！？\n;；]+")


class Padding(Guard):
    """Texts that are long for their own sake.

    Args:
        longest: Most characters in one text.
        total: Most characters in all texts of the agent together.
        density: A text of at least `from_length` characters that deflate packs below this share of its size repeats
            itself.
        from_length: Shortest text whose density is looked at, in characters.
        repeats: How often the same sentence may stand in one text.
    """

    name = "padding"

    def __init__(
        self,
        longest: int = 6000,
        total: int = 40_000,
        density: float = 0.22,
        from_length: int = 600,
        repeats: int = 3,
    ) -> None:
        self.longest, self.total = longest, total
        self.density, self.from_length, self.repeats = density, from_length, repeats

    def look(self, reading: Reading) -> Iterator[Hit]:
        """Yield one hit for each padded text, and one if all texts together are too long."""
        for passage in reading.written:
            reason = self._reason(passage.text)
            if reason is not None:
                yield self.hit(Severity.DOUBT, reason, passage)
        length = sum(len(passage.text) for passage in reading.written)
        if length > self.total:
            yield self.hit(Severity.DOUBT, f"the agent wrote {length} characters, more than {self.total}")

    def _reason(self, text: str) -> str | None:
        if len(text) > self.longest:
            return f"a text of {len(text)} characters, more than {self.longest}"
        if _BLANKS.search(text) or _RUN.search(text):
            return "a text is filled with one character or word"
        if len(text) >= self.from_length:
            raw = text.encode()
            if len(zlib.compress(raw, 9)) < self.density * len(raw):
                return "a text repeats itself"
        return self._repeated_sentence(text)

    def _repeated_sentence(self, text: str) -> str | None:
        counts: dict[str, int] = {}
        for sentence in _SENTENCES.split(text):
            words = " ".join(sentence.casefold().split())
            if len(words) >= (6 if words.isascii() else 3):
                counts[words] = counts.get(words, 0) + 1
        most = max(counts.values(), default=0)
        return f"a sentence stands {most} times in one text" if most > self.repeats else None


class KeywordStuffing(Guard):
    """Texts that list words instead of saying something.

    Args:
        items: Fewest items of a list of words that says nothing.
        codes: Fewest different codes (`like_this`) in one text.
        pleasing: Fewest different words of rubrics in one text.
        share: Share of the words that they make up at least.
    """

    name = "keyword_stuffing"

    def __init__(self, items: int = 18, codes: int = 8, pleasing: int = 7, share: float = 0.2) -> None:
        self.items, self.codes, self.pleasing, self.share = items, codes, pleasing, share

    def look(self, reading: Reading) -> Iterator[Hit]:
        """Yield one hit for each stuffed text."""
        for passage in reading.written:
            if passage.prose and (reason := self._reason(passage.text)) is not None:
                yield self.hit(Severity.DOUBT, reason, passage)

    def _reason(self, text: str) -> str | None:
        items = [item.strip() for item in re.split(r"[,;、，；|/\n•·]", text) if item.strip()]
        short = [item for item in items if len(item.split()) <= 3 and len(item) <= 30]
        if len(short) >= self.items and len(short) >= 0.8 * len(items):
            return f"a list of {len(short)} words"
        codes = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", text))
        if len(codes) >= self.codes:
            return f"{len(codes)} codes in one text"
        return self._pleasing(fold(text))

    def _pleasing(self, text: str) -> str | None:
        found = [match[0].casefold() for each in patterns("pleasing") for match in each.finditer(text)]
        words = len(re.findall(r"[a-zA-Z][\w-]*", text)) + len(re.findall("[\u4e00-\u9fff]", text)) / 2
        if len(set(found)) >= self.pleasing and len(found) >= self.share * words:
            return f"{len(set(found))} words of praise in {words:.0f} words"
        return None


class BlankAnswer(Guard):
    """Last words that say nothing: none at all, punctuation, or openings such as "Let's solve this step by step".

    Such "master keys" fool judges that compare an answer with a reference (arXiv 2507.08794).
    """

    name = "blank_answer"

    def look(self, reading: Reading) -> Iterator[Hit]:
        """Yield a hit for the last message if it holds nothing, and for each prose argument of it that does."""
        answers = reading.answers
        says = [passage for passage in answers if passage.origin == "message"]
        last = next((message for message in reversed(reading.messages) if message.role == "assistant"), None)
        acts = last is not None and bool(last.tool_calls)
        for passage in answers:
            spoken = passage.origin == "message"
            if _is_blank(passage.text, reading) and not (spoken and acts):
                yield self.hit(Severity.DOUBT, "the last word of the agent says nothing", passage)
        if not says and not acts and not reading.agent_calls:
            yield self.hit(Severity.DOUBT, "the agent said and did nothing")


def _is_blank(text: str, reading: Reading) -> bool:
    """Whether nothing is left of a text without openings, punctuation and the mark that ends a conversation."""
    left = fold(text).replace("###STOP###", " ")
    if len(left) > 400:
        return False
    clauses = [clause.strip(" \t*_#`\"'()[]{}-") for clause in re.split(r"[\n.!?:：。！？,，;；—…]+", left)]
    kept = [clause for clause in clauses if re.search(r"\w", clause)]
    asked = reading.asks or not reading.tools
    empty = patterns("blank_answer", "en", "zh", "other", *(() if asked else ("verdicts",)))
    return all(any(each.fullmatch(clause) for each in empty) for clause in kept)


class CopiedQuestion(Guard):
    """Answers that give the question back.

    Args:
        length: Shortest answer that is looked at, in characters.
        share: Share of its pieces of `piece` characters that come from the question.
        piece: Length of the pieces.
    """

    name = "copied_question"

    def __init__(self, length: int = 40, share: float = 0.8, piece: int = 12) -> None:
        self.length, self.share, self.piece = length, share, piece

    def look(self, reading: Reading) -> Iterator[Hit]:
        """Yield a hit for each prose text that is mostly the question."""
        question = _letters(reading.question)
        for passage in reading.written:
            if passage.prose and self._copied(_letters(passage.text), question):
                yield self.hit(Severity.DOUBT, "the agent gives the question back", passage)

    def _copied(self, text: str, question: str) -> bool:
        piece = self.piece if text.isascii() else max(4, self.piece // 2)
        if len(text) < (self.length if text.isascii() else self.length // 2):
            return False
        starts = range(len(text) - piece + 1)
        return sum(text[start : start + piece] in question for start in starts) >= self.share * len(starts)


def _letters(text: str) -> str:
    return re.sub(r"\W+", " ", fold(text).casefold()).strip()


class TruncatedAnswer(Guard):
    """Last words that break off before they say what matters.

    Args:
        length: Shortest text that is looked at, in characters.
    """

    name = "truncated_answer"

    def __init__(self, length: int = 12) -> None:
        self.length = length

    def look(self, reading: Reading) -> Iterator[Hit]:
        """Yield a hit for each last word that breaks off or leaves a bracket open."""
        for passage in reading.answers:
            if self._breaks_off(passage):
                yield self.hit(Severity.DOUBT, "the last word of the agent breaks off", passage, passage.text[-80:])

    def _breaks_off(self, passage: Passage) -> bool:
        text = fold(passage.text).replace("###STOP###", "").strip()
        if len(text) < (self.length if text.isascii() else self.length // 4):
            return False
        if text.count("```") % 2 or text.count("<think>") > text.count("</think>"):
            return True
        if any(text.count(left) > text.count(right) for left, right in ("()", "[]", "{}", "（）", "“”")):
            return True
        return any(each.search(text) for each in patterns("truncated"))
