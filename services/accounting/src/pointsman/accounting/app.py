"""The accounting service, put together."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from pointsman.accounting.handler import Deps, record
from pointsman.accounting.settings import Settings
from pointsman.runtime.bus import Bus
from pointsman.runtime.service import Service


def build(settings: Settings) -> Service[Deps]:
    """Return the service; the database is opened, and its schema made, when it starts."""

    @asynccontextmanager
    async def resources(_bus: Bus) -> AsyncGenerator[Deps]:
        # SQLAlchemy takes a fifth of a second to import; nobody pays who does not run this service.
        from pointsman.accounting.adapters.writer import open_writer

        async with open_writer(
            settings.ledger_url(),
            batch_rows=settings.batch_rows,
            write_timeout=settings.write_timeout,
            lock_timeout=settings.lock_timeout,
        ) as ledger:
            yield Deps(ledger=ledger)

    return Service(
        name="accounting",
        settings=settings,
        handle=record,
        resources=resources,
        problems=_problems,
    )


def _problems(deps: Deps) -> Mapping[str, str]:
    problem = deps.ledger.problem
    return {} if problem is None else {"ledger": problem}
