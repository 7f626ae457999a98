"""A platform that runs in a test's own process sets up logging for it: set back afterwards."""

from collections.abc import Generator

import pytest
import structlog


@pytest.fixture(autouse=True)
def logging_as_before() -> Generator[None]:
    """What later tests expect of the log must not depend on these having run."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
