"""The safety service, put together."""

from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from pointsman.runtime.bus import Bus
from pointsman.runtime.service import Service
from pointsman.safety.adapters.guard import open_guard
from pointsman.safety.domain import Policy
from pointsman.safety.handler import Deps, check_safety
from pointsman.safety.settings import Settings


def build(settings: Settings) -> Service[Deps]:
    """Return the service; the guard framework is imported, which takes seconds, when it starts."""

    @asynccontextmanager
    async def resources(bus: Bus) -> AsyncGenerator[Deps]:
        with ThreadPoolExecutor(settings.detector_threads, thread_name_prefix="safety") as aside:
            yield Deps(guard=await open_guard(), vault=bus, policy=policy_of(settings), aside=aside)

    return Service(name="safety", settings=settings, handle=check_safety, resources=resources)


def policy_of(settings: Settings) -> Policy:
    skippable = {
        "injection": settings.injection_fail_open,
        "personal_data": settings.masking_fail_open,
    }
    return Policy(
        block_at=settings.block_threshold,
        flag_at=settings.flag_threshold,
        fails_open=frozenset(guard for guard, is_open in skippable.items() if is_open),
        block_message=settings.block_message,
    )
