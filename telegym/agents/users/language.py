"""From text to clauses: normalised sentences, cut where one statement or request ends and the next begins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from telegym.agents.users.lexicon import grammar, lexicon

__all__ = ["Clause", "Sentence", "normalise", "sentences", "strip_fillers"]

_CHARACTERS = str.maketrans(
    {"’": "'", "‘": "'", "ʼ": "'", "`": "'", "“": '"', "”": '"', "«": '"', "»": '"', "\u00a0": " ", "\u202f": " ",
     "\u2011": "-", "\u2010": "-", "–": ",", "—": ",", "…": ".", "→": ">", "•": "\n- ", "·": "\n- ", "：": ":"}
)  # fmt: skip
_MARKUP = (
    (re.compile(r"<think>.*?(?:</think>|\Z)", re.S), " "),
    (re.compile(r"```\w*"), " "),
    (re.compile(r"<br ?/?>|</?(?:p|li|ul|ol|div)>", re.I), "\n"),
    (re.compile(r"</?\w+[^<>\n]{0,40}>"), ""),
    (re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)"), r"\1"),
    (re.compile(r"^[ \t]*(?:#{1,6}|>+)[ \t]*", re.M), ""),
    (re.compile(r"\*\*|__|~~|(?<![\w'])'(?=[\w(])|(?<=[\w).%!?,])'(?!\w)"), ""),
    (re.compile(r"(?<!\w)[*_](?=\S)|(?<=\S)[*_](?!\w)"), ""),
)
_SPELLINGS = (
    (r"(\d)\ufe0f?\u20e3", r"\1. "),
    (r"[\U0001f000-\U0001faff\u2600-\u2707\u2709-\u27bf\u2b00-\u2bff\ufe0f\u200d]", " "),
    (r"\((?:(?:use|using|via|with|call|run|the|tool|function)\b[: ]*)*'?[a-z]+_\w+'?(?: tool| function)?\)", " "),
    (r"(?<=[a-z0-9])_(?=[a-z0-9])|\\_", " "),
    (r"\(\s*\)", " "),
    (r"\((?:e\.?g\.?|such as|like|for example|for instance|for ex)\b[^()]*\)", " "),
    (r"\([^()]*\b(?:etc\b\.?|and so (?:on|forth))\)", " "),
    (r"\b(status bar|network status|top of (?:your|the) (?:screen|phone|display))\b([^.?!()\n]*)\([^()]*\)", r"\1\2"),
    (r"\ball right\b", "alright"),
    (r"\bwhether or not\b", "whether"),
    (r"\b(please|kindly) (on|off) (?=the|your|my|airplane|data|wifi)", r"\1 turn \2 "),
    (r"\bwi[ -]?fi\b", "wifi"),
    (r"\bre-(?=[a-z])", "re"),
    (r"\bdouble-?check", "double check"),
    (r"(?<=[a-z])-(?=[a-z0-9])|(?<=\dg)-(?=[a-z])", " "),
    (r"\b(e\.g|i\.e|etc|approx|vs|mr|mrs|ms|dr|a\.k\.a)\.", r"\1"),
    (r"\b(do|does|did|is|are|was|were|has|have|had|would|should|could|must|need)(?: not|nt)\b", r"\1n't"),
    (r"\b(?:can ?not|cant)\b", "can't"),
    (r"\b(?:will not|wont)\b", "won't"),
    (r"\b(i|we|you|they|it|that|this|there) (will)\b", r"\1'll"),
    (r"\b(i|we|you|they) have (?=\w+(?:ed|en|nt|et|un|one|ade)\b|not\b|just\b|now\b|already\b|also\b)", r"\1've "),
    (r"\bi am\b", "i'm"),
    (r"\b(we|you|they) are\b", r"\1're"),
    (r"\b(i|we|you|they) would\b", r"\1'd"),
    (r"\b(it|that|there|what|how|where|here) is\b", r"\1's"),
    (r"\blet us\b", "let's"),
    (r"\b(?:pls|plz|plse)\b", "please"),
    (r"\bur\b", "your"),
    (r"\b(?:u|ya)\b", "you"),
    (r"\btravell", "travel"),
    (r"\b(switch|turn)(on|off)\b", r"\1 \2"),
    (r"\b(turn|switch)(ing)? of\b(?! events)", r"\1\2 off"),
)
_SPELLING = tuple((re.compile(pattern), replacement) for pattern, replacement in _SPELLINGS)
_BULLET = re.compile(
    r"^\s*(?:[-*+▪◦●■]|\[[ x]?\]|\(?\d{1,2}[.):]|\(?[a-h][.)]|\(?[ivx]{1,4}\)|[①-⑳]|step \d+ *[:.)-]?)"
    r"\s*(?:\[[ x]?\]\s*)?",
    re.I,
)
_INLINE_NUMBER = re.compile(r"(?:(?<=[\s,;:.])|^)\(?\d{1,2}[.)]\s+(?=[a-z])")
_SENTENCE_END = re.compile(r"(?<=[.!?;])[\")\]]*\s+|(?<=[a-z]{2}\.)(?=[a-z])")
_CONNECTOR = re.compile(
    r"\s*[,;:](?:\s+(?:and then|and also|and|then|but then|but|or|so|plus|also))?\s+"
    r"|\s+(?:-+|/|>)\s+(?:then\s+)?"
    r"|\s+(?:and then|and also|and|then|but then|but|or|plus|followed by|as well as"
    r"|so(?! that| you| i| we| it| far))\s+"
    r"|\.\s+"
)


@dataclass(frozen=True)
class Clause:
    """A piece of a sentence with at most one finite verb, roughly."""

    kind: str
    """`main`, `condition`, `otherwise`, `after`, `before`, `reason` or `purpose`."""
    text: str
    """The words, without a subordinating word."""
    link: str = ""
    """How it is joined to the clause before: `and`, `or`, `but`, `then`, `,` or nothing."""
    marker: str = ""
    """The subordinating word, for example `unless`."""


@dataclass(frozen=True)
class Sentence:
    """A sentence."""

    text: str
    """All of it, normalised."""
    question: bool
    """Whether it ends with a question mark."""
    clauses: tuple[Clause, ...]
    """Its clauses in order."""
    header: bool = False
    """Whether it announces a list."""
    bullet: bool = False
    """Whether it is an item of a list."""
    tagged: bool = False
    """Whether it is a statement that asks for agreement at its end: "…, right?"."""


def normalise(text: str) -> str:
    """Return the text in lower case, without markup, in the spelling the lexicon uses."""
    text = text.translate(_CHARACTERS)
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    text = text.lower().replace('"', "")
    for pattern, replacement in _SPELLING:
        text = pattern.sub(replacement, text)
    return text


def strip_fillers(text: str) -> str:
    """Return the text without the leading words that change nothing."""
    filler = lexicon().filler
    text = text.strip(" ,;:-.!?>")
    while found := filler.match(text):
        text = text[found.end() :].lstrip(" ,;:-.!>")
    return text


def sentences(text: str) -> list[Sentence]:
    """Return the sentences of a message."""
    result = []
    for line in normalise(text).split("\n"):
        if not line.strip():
            continue
        bullet = _BULLET.match(line)
        body = line[bullet.end() :] if bullet else line
        pieces = [piece for part in _INLINE_NUMBER.split(body) for piece in _SENTENCE_END.split(part)]
        for number, piece in enumerate(filter(None, (piece.strip() for piece in pieces))):
            result.append(_sentence(piece, bullet is not None and number == 0))
    return result


def _sentence(text: str, bullet: bool) -> Sentence:
    header = text.endswith(":")
    question = text.rstrip('") ').endswith("?")
    tag = grammar("question_tag").search(text) if question else None
    body = text[: tag.start()] if tag and len(text[: tag.start()].split()) > 2 else text
    tagged = body != text
    return Sentence(text.strip(), question, tuple(_clauses(body.strip(" .!?;:"))), header, bullet, tagged)


def _clauses(text: str) -> Iterator[Clause]:
    merged: list[Clause] = []
    for link, piece in _pieces(text):
        clause = _classify(piece, link)
        last = merged[-1] if merged else clause
        if merged and not clause.marker and (_sums_up(last, clause) or not _starts_clause(clause.text)):
            joined = f"{last.text}{' ' if link in ('and', 'or', 'then', 'but', '') else ''}{link} {piece}"
            merged[-1] = Clause(last.kind, joined, last.link, last.marker)
        else:
            merged.append(clause)
    for clause in merged:
        yield from _cut_condition(clause)


def _sums_up(last: Clause, clause: Clause) -> bool:
    """Whether a clause has the verb of a list that began before, as in "check that data and roaming are on"."""
    if clause.link not in ("and", "or") or grammar("noun_and_auxiliary").match(clause.text) is None:
        return False
    return re.search(r"\bare\b", clause.text) is not None and grammar("sum_of_list").search(last.text) is not None


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Yield the candidates for clauses, each with the word that joins it to the one before."""
    position, link = 0, ""
    for found in [*_CONNECTOR.finditer(text), None]:
        piece = text[position : found.start() if found else len(text)]
        for number, part in enumerate(_at_subordinators(piece)):
            if part.strip(" ,;:-"):
                yield link if number == 0 else "", part.strip(" ,;:-")
        if found:
            position, link = found.end(), _link(found[0])


def _link(text: str) -> str:
    words = re.findall(r"[a-z]+", text)
    for word in ("then", "but", "or", "so", "and", "plus", "also", "followed"):
        if word in words:
            return {"plus": "and", "also": "and", "followed": "then", "so": "then"}.get(word, word)
    return ","


def _at_subordinators(text: str) -> Iterator[str]:
    """Cut a text in front of each subordinating word that is not the complement of a verb of asking."""
    cuts = [0]
    for kind, pattern in lexicon().subordinators:
        for found in pattern.finditer(text):
            if found.start() > 0 and not _belongs_to_verb(kind, text, found.start()):
                cuts.append(found.start())
    cuts = sorted(set(cuts))
    for start, end in zip(cuts, [*cuts[1:], len(text)], strict=True):
        yield text[start:end]


def _belongs_to_verb(kind: str, text: str, position: int) -> bool:
    if kind == "purpose":
        return re.search(r"\b(?:going|about|able|trying|try|here|happy|glad)\s*$", text[:position]) is not None
    return kind == "condition" and _is_complement(text, position)


def _is_complement(text: str, position: int) -> bool:
    return re.search(lexicon().patterns["complement_verbs"].pattern + r"\s*$", text[:position]) is not None


def _classify(piece: str, link: str) -> Clause:
    bare = grammar("leading_conjunctions").sub("", piece)
    stripped = strip_fillers(bare)
    if not stripped:
        return Clause("main", piece, link)
    for candidate in (bare, stripped):
        for kind, pattern in lexicon().subordinators:
            found = pattern.match(candidate)
            if found and not (found[0] == "which" and not link):
                if kind == "purpose":
                    return Clause("main", candidate[3:], link or "then", "to")
                return Clause(kind, candidate[found.end() :].strip(" ,"), link, found[0])
    return Clause("main", piece, link)


def _starts_clause(text: str) -> bool:
    """Whether a text begins like a clause of its own, not like one more thing in a list."""
    words, known = strip_fillers(text), lexicon()
    if not words:
        return False
    if any(pattern.match(words) for mood, pattern in known.frames if mood != "keep"):
        return True
    if known.bases["any"].match(words) and not re.match(r"(?:set|text|open|process|state|list|note)$", words):
        return True
    if grammar("auxiliary_start").match(words):
        return True
    if known.patterns["statement_start"].match(words):
        return known.patterns["has_verb"].search(words) is not None
    return grammar("noun_and_auxiliary").match(words) is not None


def _cut_condition(clause: Clause) -> Iterator[Clause]:
    """Cut "if it is on turn it off" where the request begins, in the absence of a comma."""
    if clause.kind in ("condition", "after", "before"):
        for found in grammar("unpunctuated").finditer(clause.text):
            rest = clause.text[found.end() :]
            words = strip_fillers(rest)
            if lexicon().bases["any"].match(words) and not grammar("no_request_start").match(words):
                yield Clause(clause.kind, clause.text[: found.end()].strip(), clause.link, clause.marker)
                yield Clause("main", rest, ",")
                return
    yield clause
