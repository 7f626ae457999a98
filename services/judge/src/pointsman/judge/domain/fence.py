"""Shows a model material that others wrote so that it stays material: fenced, defused, cut to size.

Owns the code of a fence, what is defused within it and what is left out of long parts. Knows no
rubric.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count
from typing import Final

BYTES_PER_TOKEN: Final = 3
"""Careful for English (about 4), right for Chinese (a character is 3 bytes, and about a token)."""

FENCE_BYTES: Final = 140
"""More than the two lines around a part and the line about what was left out take."""

_TEMPLATE_MARK = re.compile(
    r"<(?=[|｜])|<(?=/?(?:s|bos|eos|start_of_turn|end_of_turn)>)|\[(?=/?INST\])|<(?=</?SYS>>)"
)
"""Where the tokens begin with which chat templates part messages. Some servers read them inside the
words of a message, too, where no fence would hold them."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One text of the material. ``most_bytes`` is what is shown of it at most."""

    name: str
    text: str = field(repr=False)
    most_bytes: int


@dataclass(frozen=True, kw_only=True)
class Material:
    """Fenced parts as one text, and the names of those that were cut."""

    text: str = field(repr=False)
    code: str
    clipped: tuple[str, ...] = ()


def fenced(parts: Sequence[Part], *, key: str, most_bytes: int) -> Material:
    """Return the parts between lines that carry a code, all together in ``most_bytes`` and fences.

    Where they are too long together, each gives up the same share.
    """
    texts = [defused(part.text) for part in parts]
    code = fence_code(key, texts)
    sizes = [
        min(len(text.encode()), part.most_bytes) for part, text in zip(parts, texts, strict=True)
    ]
    share = min(1.0, most_bytes / max(1, sum(sizes)))
    lines: list[str] = []
    clipped: list[str] = []
    for part, text, size in zip(parts, texts, sizes, strict=True):
        shown = cut(text, int(size * share), code)
        if shown != text:
            clipped.append(part.name)
        lines += [f"<<<{part.name} {code}>>>", shown, f"<<<END {part.name} {code}>>>", ""]
    return Material(text="\n".join(lines), code=code, clipped=tuple(clipped))


def fence_code(key: str, texts: Iterable[str]) -> str:
    """Return a code that is in none of ``texts``, the same for the same key and texts.

    ``key`` holds what nobody who wrote them knew, such as the request's id; should the code be in
    them all the same, the next one is taken.
    """
    written = "\n".join(texts).lower()
    codes = (
        blake2b(f"{key}.{salt}".encode(), digest_size=8, person=b"pointsman-fence").hexdigest()
        for salt in count()
    )
    return next(code for code in codes if code not in written)


def defused(text: str) -> str:
    """Return ``text`` with a space inside chat templates' own tokens, and as valid UTF-8."""
    valid = text.encode("utf-8", "replace").decode()
    return _TEMPLATE_MARK.sub(lambda mark: f"{mark[0]} ", valid)


def cut(text: str, size: int, code: str) -> str:
    """Return ``text``, or halves of ``size`` bytes from both ends and a line on what is missing."""
    whole = text.encode()
    if len(whole) <= size:
        return text
    half = max(1, size // 2)
    head = whole[:half].decode("utf-8", "ignore")
    tail = whole[-half:].decode("utf-8", "ignore")
    return f"{head}\n[{code}: {len(whole) - 2 * half} bytes left out]\n{tail}"
