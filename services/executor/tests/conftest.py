"""A model server for the tests that need one."""

from collections.abc import AsyncGenerator

import pytest

from .backend import Backend, running_backend


@pytest.fixture
async def backend() -> AsyncGenerator[Backend]:
    async with running_backend() as server:
        yield server
