"""The forms of a text that the attack rules read: as written, undisguised and decoded.

Owns normalisation and bounded decoding. Whether a form is an attack is decided in ``injection``.
Source: Unicode Technical Standard 39 (confusables), cut to the letters that stand for Latin ones.
"""

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

VIEW_LENGTH: Final = 20_000
"""Characters of one decoded view; a longer one is read at both ends."""

MAX_VIEWS: Final = 12
"""Views of one text, the plain one included."""

_MAX_ENCODED: Final = 6
"""Encoded pieces that are decoded in one text; further ones are read as they stand."""

_CONFUSABLES: Final = str.maketrans(
    "аеорсухіјѕԁһӏԛԝкмтвнзгпьᴀʙᴄᴅᴇɢʜɪᴊᴋʟᴍɴᴏᴘʀᴛᴜᴠᴡʏᴢαβεικνορτυχγηωɑɡıℓ",
    "aeopcyxijsdhlqwkmtbh3rnbabcdeghijklmnoprtuvwyzabeikvoptuxynwagil",
)
_LEET: Final = str.maketrans("0134578@$!|", "oieastbasil")
_IS_LEET: Final = re.compile(r"[a-z][0134578@$!|]{1,3}[a-z]|\b[0134578@$][a-z]{2}")
_SPACED: Final = re.compile(r"(?<!\S)(?:\S {1,4}){7,}\S(?!\S)")
_BASE64: Final = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{16,8192}={0,2}")
_HEX: Final = re.compile(r"(?<![0-9A-Za-z])(?:(?:0x|\\x|%)?[0-9a-fA-F]{2}[ ,:]?){8,4096}")
_WORDS: Final = frozenset(
    {"the", "and", "you", "your", "all", "are", "for", "that", "this", "with", "not", "now", "what"}
    | {"who", "how", "rules", "ignore", "print", "show", "forget", "instructions", "previous"}
    | {"prompt", "reveal", "system", "keys", "secret", "tell", "write", "give", "from"}
)
_ROT13_WORDS: Final = frozenset(codecs.encode(word, "rot13") for word in _WORDS)
_REVERSED_WORDS: Final = frozenset(word[::-1] for word in _WORDS)
_WORD: Final = re.compile(r"[a-z]{3,14}")


@dataclass(frozen=True, kw_only=True)
class View:
    """One form of a text; ``is_hidden`` says that somebody encoded it."""

    text: str
    is_hidden: bool = False


def views(text: str) -> tuple[View, ...]:
    """Return the plain form first, then each form that differs from it, at most ``MAX_VIEWS``."""
    plain = plain_form(text)
    found = {plain: View(text=plain)}
    for view in islice(_other_views(text, plain), MAX_VIEWS - 1):
        found.setdefault(view.text, view)
    return tuple(found.values())


def plain_form(text: str) -> str:
    """Return compatibility-composed, lower-case text without invisible characters.

    Runs of spaces become one, runs of line ends one line end.
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    if not text.isascii():
        text = "".join(c for c in text if unicodedata.category(c) != "Cf")
        text = text.translate({0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x2013: "-"})
    text = re.sub(r"[^\S\n]+", " ", text)
    return re.sub(r" ?\n[ \n]*", "\n", text).strip()


def _other_views(text: str, plain: str) -> Iterator[View]:
    if not plain.isascii():
        yield View(text=_undisguised(plain))
    if spaced := _joined_letters(text):
        yield View(text=plain_form(spaced), is_hidden=True)
    for decoded in islice(_decoded_pieces(text), _MAX_ENCODED):
        yield View(text=plain_form(decoded), is_hidden=True)
    head = _ends(plain)
    if _IS_LEET.search(head):
        yield View(text=head.translate(_LEET))
    words = set(_WORD.findall(head))
    if _reads_like(words, _ROT13_WORDS):
        yield View(text=codecs.encode(head, "rot13"), is_hidden=True)
    if _reads_like(words, _REVERSED_WORDS):
        yield View(text=head[::-1], is_hidden=True)


def _ends(text: str) -> str:
    if len(text) <= VIEW_LENGTH:
        return text
    half = VIEW_LENGTH // 2
    return text[:half] + "\n" + text[-half:]


def _undisguised(plain: str) -> str:
    """Return the text with look-alike letters as Latin ones and without accents."""
    base = unicodedata.normalize("NFD", _ends(plain))
    return "".join(c for c in base if not unicodedata.combining(c)).translate(_CONFUSABLES)


def _joined_letters(text: str) -> str:
    """Return the text with s p a c e d words written together; empty if there are none.

    Two or more spaces end a word; where there are none, the words cannot be told apart.
    """
    head = re.sub(r"\t|\u00a0", " ", _ends(text))
    if not _SPACED.search(head):
        return ""
    return _SPACED.sub(
        lambda match: " ".join(word.replace(" ", "") for word in re.split(r" {2,}", match[0])), head
    )


def _decoded_pieces(text: str) -> Iterator[str]:
    for match in islice(_BASE64.finditer(text), 4 * _MAX_ENCODED):
        piece = match[0].rstrip("=").translate(str.maketrans("-_", "+/"))
        try:
            raw = base64.b64decode(piece + "=" * (-len(piece) % 4), validate=True)
        except binascii.Error:
            continue
        yield from _readable(raw)
    for match in islice(_HEX.finditer(text), 4 * _MAX_ENCODED):
        digits = re.sub(r"0x|\\x|[%,: ]", "", match[0])
        yield from _readable(bytes.fromhex(digits[: len(digits) // 2 * 2]))


def _readable(raw: bytes) -> Iterator[str]:
    """Yield the bytes as text if they are words rather than data."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return
    letters = sum(c.isalpha() or c.isspace() for c in text)
    if len(text) >= 8 and text.isprintable() and letters >= 0.7 * len(text):
        yield text


def _reads_like(words: set[str], dictionary: frozenset[str]) -> bool:
    """Whether these words look like English once decoded, and do not as they stand."""
    hits = len(words & dictionary)
    return hits >= 2 and hits > len(words & _WORDS)
