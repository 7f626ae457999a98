"""The exported model: the one of set-up where it is current, else made there once."""

from pathlib import Path

import pytest

from pointsman.embedding import ensure


@pytest.fixture(scope="session")
def model_folder() -> Path:
    folder = Path(".state/embedder").resolve()
    ensure(folder)
    return folder
