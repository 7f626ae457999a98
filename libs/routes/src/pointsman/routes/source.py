"""From the text of a route file to a route in force, and what is kept when the text is bad.

Owns parsing, the revision, and "keep the last good one"; reads no file and knows no clock: whoever
polls gives the text.
"""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any, Self, cast

import yaml
from pydantic import ValidationError

from pointsman.routes.issue import Issue
from pointsman.routes.places import Place, Places
from pointsman.routes.registry import ModelRegistry
from pointsman.routes.semantic_route import SemanticRoute
from pointsman.routes.tokens import ConditionError
from pointsman.routes.validate import validate

# A route of 64 targets with the longest conditions stays under 64 KiB.
MAX_CHARACTERS = 256 * 1024

_NOWHERE = Places(text="", nodes={})


class InvalidRoute(ValueError):
    """A route cannot be used. ``path`` is the field; ``excerpt`` shows a condition with a caret.

    ``line`` and ``column`` are the file's, from 1; None where the fault has no place in it.
    """

    def __init__(
        self, path: str, reason: str, *, excerpt: str = "", place: Place | None = None
    ) -> None:
        where = f"line {place.line}, column {place.column}" if place else ""
        named = f"{path} ({where})" if path and where else path or where
        super().__init__(f"{named}: {reason}" if named else reason)
        self.path = path
        self.reason = reason
        self.excerpt = excerpt
        self.line = place.line if place else None
        self.column = place.column if place else None


@dataclass(frozen=True, kw_only=True)
class RouteRevision:
    """A route and the first 12 hex digits of the SHA-256 of the text it came from.

    ``places`` says where each field stands in that text.
    """

    route: SemanticRoute
    revision: str
    places: Places = field(default=_NOWHERE, compare=False, repr=False)


def revision_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def load_route(text: str) -> RouteRevision:
    """Parse and check the text of a route file.

    Raises: InvalidRoute with the path and place of the first wrong field.
    """
    document, places = _document(text)
    try:
        route = SemanticRoute.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        raise _invalid(error, places) from error
    return RouteRevision(route=route, revision=revision_of(text), places=places)


@dataclass(frozen=True, kw_only=True)
class RouteFile:
    """What is known of a route file: the last good route, and why the newest text is not it."""

    registry: ModelRegistry | None = None
    current: RouteRevision | None = None
    problem: InvalidRoute | None = None
    warnings: tuple[Issue, ...] = ()
    seen: str | None = None

    def refresh(self, text: str | None, *, why: str = "the file cannot be read") -> Self:
        """Return what is known after the file held ``text``; None means that it cannot be read.

        Returns self when nothing changed, so that a caller sees changes by identity.
        """
        if text is None:
            if self.seen is None and self.problem is not None and self.problem.reason == why:
                return self
            return replace(self, seen=None, problem=InvalidRoute("", why))
        seen = revision_of(text)
        if seen == self.seen:
            return self
        try:
            current = load_route(text)
            warnings = _checked(current, self.registry)
        except InvalidRoute as problem:
            return replace(self, seen=seen, problem=problem)
        return replace(self, seen=seen, current=current, warnings=warnings, problem=None)


def _checked(revision: RouteRevision, registry: ModelRegistry | None) -> tuple[Issue, ...]:
    issues = validate(revision.route, registry)
    for issue in issues:
        if not issue.is_usable:
            place = revision.places.find(issue.path)
            raise InvalidRoute(issue.path, issue.message, place=place)
    return tuple(issues)


class _UniqueKeys(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, where YAML would quietly keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} is given twice", key.start_mark
                )
            seen.add(str(key.value))
        return cast("dict[Any, Any]", super().construct_mapping(node, deep=deep))


def _document(text: str) -> tuple[object, Places]:
    """The one document of the file as plain values, and where its fields stand."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidRoute("", f"the file is longer than {MAX_CHARACTERS} characters")
    documents: list[tuple[object, Places]] = []
    try:
        loader = _UniqueKeys(text)
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                content = cast("object", loader.construct_document(node))
                documents.append((content, Places.of(text, node)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else None
        raise InvalidRoute("", f"not YAML: {error.problem}", place=place) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidRoute("", f"not YAML: {error}") from error
    documents = [(document, places) for document, places in documents if document is not None]
    if not documents:
        raise InvalidRoute("", "the file is empty")
    if len(documents) > 1:
        raise InvalidRoute("", f"the file holds {len(documents)} documents, one route is expected")
    if not isinstance(documents[0][0], dict):
        raise InvalidRoute("", "the file holds no SemanticRoute: a mapping is expected")
    return documents[0]


def _invalid(error: ValidationError, places: Places) -> InvalidRoute:
    first = error.errors(include_url=False)[0]
    cause = first.get("ctx", {}).get("error")
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    path = path.removeprefix(".")
    if isinstance(cause, ConditionError):
        path = cause.path or path
        place = places.find_within(path, cause.text, cause.column)
        return InvalidRoute(path, cause.reason, excerpt=cause.excerpt, place=place)
    reason = str(cause) if isinstance(cause, ValueError) else first["msg"]
    return InvalidRoute(path, reason, place=places.find(path))
