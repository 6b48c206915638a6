"""Disguises taken off: how a text reads without hidden characters, look-alike letters, spacing and encodings.

Judges that are language models read through most of these; guards that compare letters do not.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import unquote

__all__ = ["HIDDEN", "encoded_words", "fold", "revealed", "unmasked"]

HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0e\ufeff\U000e0000-\U000e0fff]"
)
"""Characters that take no room on a screen; the emoji selector U+FE0F is left out, since honest texts have it."""

_LOOKALIKES = str.maketrans(
    "аеорсухіјѕԁһӏМНВТКАЕОРСХІЈЅαβεικνορτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧｏᴏⅠⅼ｛｝［］“”„‟‘’＂＇∶ː﹕",
    'aeopcyxijsdhlMHBTKAEOPCXIJSabeiknoptuxABEZHIKMNOPTYXooIl{}[]""""\'\'"\':::',
)
_SPACES = re.compile(" {2,}")
_TAGS = {0xE0000 + code: chr(code) for code in range(0x20, 0x7F)}
_DIGITS = str.maketrans("0134578@$!|", "oieastbasil")
_SPACED = re.compile(r"(?<!\w)(?:[^\W_]|[\\{}\[\]<>])(?:[\s.\-_*·/]{1,3}(?:[^\W_]|[\\{}\[\]<>])){4,}(?!\w)")
_GAPS = re.compile(r"[\s.\-_*·/]+")
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{10,}={0,2}(?![A-Za-z0-9+/])")
_HEX = re.compile(r"(?<![0-9a-fA-F])(?:(?:\\x|0x)?[0-9a-fA-F]{2}[\s,]?){8,}")
_BITS = re.compile(r"(?:[01]{8}\s?){8,}")
_ESCAPES = re.compile(r"\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2})")
_LEAST_READABLE = 0.9
_DEPTH = 2


def fold(text: str) -> str:
    """Return a text without hidden characters, with look-alike letters as Latin ones and one space for any blanks."""
    if text.isascii():
        return _SPACES.sub(" ", text)
    text = text.translate(_TAGS)
    text = unicodedata.normalize("NFKC", HIDDEN.sub("", text))
    stripped = "".join(character for character in text if unicodedata.category(character) != "Cf")
    return _SPACES.sub(" ", _latin_words(stripped))


def _latin_words(text: str) -> str:
    """Replace look-alikes where a word mixes them with Latin letters; words wholly in another script stay."""
    translated = text.translate(_LOOKALIKES)
    if translated == text:
        return text
    return re.sub(r"\S+", lambda match: _latin_word(match[0]), text)


def _latin_word(word: str) -> str:
    translated = word.translate(_LOOKALIKES)
    return translated if translated.isascii() else word


@lru_cache(maxsize=4096)
def unmasked(text: str, depth: int = _DEPTH) -> tuple[str, ...]:
    """Return the ways a text can be read, each once, the plain one first.

    Args:
        text: The text.
        depth: How many encodings within each other are undone.
    """
    plain = fold(text)
    found = {plain: None}
    for variant in _variants(text, plain):
        found.setdefault(variant)
    if depth:
        for decoded in _decoded(plain):
            for variant in unmasked(decoded, depth - 1):
                found.setdefault(variant)
    return tuple(found)


@lru_cache(maxsize=4096)
def revealed(text: str) -> tuple[str, ...]:
    """Return a text folded, and what its encodings say: the cheap part of `unmasked`, for the many texts of others."""
    plain = fold(text)
    return (plain, *_decoded(plain))


def encoded_words(text: str) -> str | None:
    """Return what an encoding in a text says, if it is at least two words; None if there is none."""
    return next((words for words in _decoded(fold(text)) if re.search(r"[^\W\d_]{2,}\s+[^\W\d_]{2,}", words)), None)


def _variants(text: str, plain: str) -> Iterator[str]:
    joined = _SPACED.sub(lambda match: _GAPS.sub("", match[0]), plain)
    if joined != plain:
        yield joined
        yield _SPACED.sub(lambda match: _GAPS.sub(lambda gap: " " if len(gap[0]) > 1 else "", match[0]), plain)
    if not text.isascii():
        letters = unicodedata.normalize("NFD", plain)
        bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
        if bare != plain:
            yield bare
    if any(letter in plain for letter in "0134578@$!|"):
        yield re.sub(r"\b\w*[a-zA-Z]+[0-9@$!|]+[\w@$!|]*\b", lambda match: match[0].translate(_DIGITS), plain)
    if len(plain) <= 2000:
        yield plain[::-1]
        yield codecs.encode(plain, "rot13")


def _decoded(text: str) -> Iterator[str]:
    """Yield what the encodings in a text say."""
    for match in _BASE64.findall(text):
        yield from _readable(_from_base64(match))
    for match in _HEX.findall(text):
        digits = re.sub(r"\\x|0x|[\s,]", "", match)
        yield from _readable(bytes.fromhex(digits[: len(digits) // 2 * 2]))
    for match in _BITS.findall(text):
        bits = re.sub(r"\s", "", match)
        yield from _readable(bytes(int(bits[place : place + 8], 2) for place in range(0, len(bits) - 7, 8)))
    yield from _unescaped(text)


def _unescaped(text: str) -> Iterator[str]:
    for read in (html.unescape(text) if "&" in text else text, unquote(text) if "%" in text else text):
        if read != text:
            yield read
    if _ESCAPES.search(text):
        yield _ESCAPES.sub(lambda match: chr(int(match[0][2:], 16)), text)


def _from_base64(text: str) -> bytes:
    body = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(body + "=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        return b""


def _readable(raw: bytes) -> Iterator[str]:
    """Yield the text of some bytes, if it is text."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return
    printable = sum(character.isprintable() or character.isspace() for character in text)
    if len(text) >= 4 and printable >= _LEAST_READABLE * len(text):
        yield text
