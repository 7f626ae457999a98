"""One thing that is wrong or surprising about a route that parses."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Issue:
    """An ``error`` fails ``route validate``. ``is_usable``: the classifier takes the route anyway.

    A rule that no request can reach fails CI, since nobody writes one on purpose; it does not keep
    a running classifier from a route that somebody needs now.
    """

    level: Literal["error", "warning"]
    path: str
    message: str
    is_usable: bool = True


def error(path: str, message: str) -> Issue:
    return Issue(level="error", path=path, message=message, is_usable=False)


def unreachable(path: str, message: str) -> Issue:
    return Issue(level="error", path=path, message=message)


def warning(path: str, message: str) -> Issue:
    return Issue(level="warning", path=path, message=message)
