"""The embedder that stands behind a request without a vector."""

from pathlib import Path

import pytest

from pointsman.embedding import ModelAbsent
from pointsman.toolrag.adapters.embedding import MiniLmEmbedder, token_counter
from pointsman.toolrag.domain import DIMENSIONS
from pointsman.toolrag.settings import Settings


def test_the_model_is_opened_by_the_first_text_and_not_before(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with MiniLmEmbedder(blocked) as embedder, pytest.raises(ModelAbsent):
        embedder.embed(["hello"])


def test_each_text_has_a_row() -> None:
    # The model of set-up; made there once where it is absent.
    with MiniLmEmbedder(Path(".state/embedder")) as embedder:
        rows = embedder.embed(["List the clusters", "Show all clusters", "Bake a cake"])
    assert rows.shape == (3, DIMENSIONS)
    near, far = float(rows[0] @ rows[1]), float(rows[0] @ rows[2])
    assert near > 0.7 > 0.3 > far


def test_tokens_are_counted_without_those_that_frame_a_text() -> None:
    count = token_counter()
    assert count("") == 0
    assert count("hello world") == 2
    assert count("word " * 1000) == 1000


def test_the_embedder_lies_in_the_state_folder_unless_told_otherwise(tmp_path: Path) -> None:
    assert Settings(state_dir=tmp_path).embedder_dir == tmp_path / "embedder"
    assert Settings(state_dir=tmp_path, embedder_dir=Path("x")).embedder_dir == Path("x")
