"""Where in a file each field stands: from YAML's node tree to lines and columns.

Owns the mapping from a field's path (``spec.targets[1].condition``) to its place, and from a
character of a condition to the place where it was written, however YAML folds or quotes it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import yaml

# More fields than the largest route has. Anchors can make a small file look endless.
_MAX_NODES = 20_000


@dataclass(frozen=True)
class Place:
    """A line and a column of the file, both from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Places:
    """The places of a document's fields, and the text they were read from."""

    text: str
    nodes: Mapping[str, yaml.Node]

    @classmethod
    def of(cls, text: str, root: yaml.Node | None) -> "Places":
        nodes = _walk("", root) if root is not None else ()
        return cls(text=text, nodes=dict(islice(nodes, _MAX_NODES)))

    def find(self, path: str) -> Place | None:
        """Return where the field ``path`` begins, or its nearest parent that the file has."""
        while path:
            node = self.nodes.get(path)
            if node is not None:
                return _place(node.start_mark)
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return None

    def find_within(self, path: str, text: str, column: int) -> Place | None:
        """Return where character ``column`` (from 1) of the field's value ``text`` was written.

        YAML may fold lines, but keeps everything that is not space: the characters are counted. A
        value that is written with escapes or comments is only found as a whole.
        """
        node = self.nodes.get(path)
        if not isinstance(node, yaml.ScalarNode) or node.value != text:
            return self.find(path)
        begin, end = _inner(self.text, node)
        raw = self.text[begin:end]
        if "".join(raw.split()) != "".join(text.split()):
            return self.find(path)
        before = sum(not character.isspace() for character in text[: column - 1])
        is_at_end = not text[column - 1 :].strip()
        at = begin + (_after(raw, before) if is_at_end else _nth(raw, before))
        line = self.text.count("\n", 0, at) + 1
        return Place(line, at - (self.text.rfind("\n", 0, at) + 1) + 1)


def _walk(path: str, node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    # YAML's anchors may make a document that contains itself: a path only grows so far.
    if path.count(".") + path.count("[") > 16:
        return
    yield path, node
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield from _walk(f"{path}.{key.value}" if path else str(key.value), value)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _walk(f"{path}[{index}]", item)


def _place(mark: yaml.Mark) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _inner(text: str, node: yaml.ScalarNode) -> tuple[int, int]:
    """The value's characters in the file: without quotation marks or a block's first line."""
    begin, end = node.start_mark.index, node.end_mark.index
    if node.style in {"'", '"'}:
        return begin + 1, end - 1
    if node.style in {"|", ">"}:
        return text.index("\n", begin) + 1, end
    return begin, end


def _nth(raw: str, count: int) -> int:
    """The position of the character that has ``count`` others before it that are not space."""
    for at, character in enumerate(raw):
        if not character.isspace():
            if count == 0:
                return at
            count -= 1
    return len(raw)


def _after(raw: str, count: int) -> int:
    """The position right behind the last of ``count`` characters that are not space."""
    return _nth(raw, count - 1) + 1 if count else 0
