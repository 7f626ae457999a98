"""What a service is to the runtime: a name, a handler and the resources it needs.

Owns the declaration only. ``app`` runs it, ``delivery`` feeds it.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pointsman.contracts.messages import Fact
from pointsman.contracts.parts import ServiceName
from pointsman.runtime.bus import Bus
from pointsman.runtime.settings import ServiceSettings

Deps = TypeVar("Deps")
DepsContra_contra = TypeVar("DepsContra_contra", contravariant=True)


Problems = Callable[[], Mapping[str, Mapping[str, str]]]
"""Per service of this process, per dependency, why it is not ready; empty means ready."""


class Handler(Protocol[DepsContra_contra]):
    """``async def verb(command, *, deps) -> Fact``; knows no subject, successor, retry or span.

    The command's type is the service's own, which no common signature can say.
    """

    def __call__(self, command: Any, /, *, deps: DepsContra_contra) -> Awaitable[Fact]: ...


def always(_: object) -> bool:
    """Every command's work costs money, or acts."""
    return True


def never(_: object) -> bool:
    """No command's work does."""
    return False


@dataclass(frozen=True, kw_only=True)
class Service(Generic[Deps]):
    """A stage, ready to run.

    ``resources`` opens what the handler needs and yields it; it is entered once a process.
    ``is_memoized`` says of which commands the fact is kept until the request's outcome: where the
    work costs money or acts. None of them, unless given.
    ``serve`` runs beside the handler until cancelled (ingress: the HTTP server).
    ``problems`` says, per dependency, why the service is not ready; empty means ready.
    """

    name: ServiceName
    settings: ServiceSettings
    handle: Handler[Deps]
    resources: Callable[[Bus], AbstractAsyncContextManager[Deps]]
    is_memoized: Callable[[Any], bool] = never
    serve: Callable[[Bus, Deps, Problems], Awaitable[None]] | None = None
    problems: Callable[[Deps], Mapping[str, str]] | None = None
