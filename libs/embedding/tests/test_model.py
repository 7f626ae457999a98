"""The exported model itself: its vectors, its file, and who holds it."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from pointsman.embedding import (
    DIMENSIONS,
    Model,
    ModelAbsent,
    artefact,
    ensure,
    identity,
    open_encoder,
    opened,
    tokenizer,
)
from pointsman.embedding import (
    model as model_module,
)

CAPITAL = "What is the capital of France?"


def test_vectors_are_normalised_and_near_where_texts_are(model_folder: Path) -> None:
    with opened(model_folder) as model:
        change, reset, capital = (
            model.embed(text)
            for text in ("Change my password", "Reset the password of my account", CAPITAL)
        )
    assert change.shape == (DIMENSIONS,)
    assert change.dtype == np.float32
    assert float(change @ change) == pytest.approx(1, abs=1e-5)
    assert float(change @ reset) > 0.6 > 0.2 > float(change @ capital)


@pytest.mark.parametrize("text", ["", " ", "\x00", "日本語", "𝕏" * 3000, "word " * 20_000])
def test_any_text_has_a_vector_and_always_the_same(model_folder: Path, text: str) -> None:
    with opened(model_folder) as model:
        first, second = model.embed(text), model.embed(text)
    assert np.isfinite(first).all()
    assert np.array_equal(first, second)


def test_what_lies_beyond_256_tokens_is_not_read(model_folder: Path) -> None:
    words = tokenizer()
    head = "alpha " * 254
    assert len(words.encode(head).ids) == 256
    with opened(model_folder) as model:
        assert np.array_equal(model.embed(head), model.embed(head + "omega " * 50))
        assert not np.array_equal(model.embed(head), model.embed("alpha " * 253 + "omega"))


def test_threads_may_embed_at_once(model_folder: Path) -> None:
    texts = [f"text number {number}" for number in range(40)]
    with opened(model_folder) as model, ThreadPoolExecutor(4) as threads:
        at_once = list(threads.map(model.embed, texts))
        assert all(np.array_equal(model.embed(t), v) for t, v in zip(texts, at_once, strict=True))


def test_a_vector_cannot_be_changed_by_who_gets_it(model_folder: Path) -> None:
    with opened(model_folder) as model, pytest.raises(ValueError, match="read-only"):
        model.embed("hello")[0] = 1


def test_a_process_holds_one_model_until_the_last_lets_go(model_folder: Path) -> None:
    with opened(model_folder) as first:
        with opened(model_folder / ".." / model_folder.name) as second:
            assert second is first
        with opened(model_folder) as third:
            assert third is first
    with opened(model_folder) as later:
        assert later is not first


def test_services_that_start_at_once_load_it_once(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[Path] = []

    class Counted(Model):
        def __init__(self, path: Path) -> None:
            loads.append(path)
            super().__init__(path)

    monkeypatch.setattr(model_module, "Model", Counted)
    together = threading.Barrier(4)

    def hold() -> None:
        with opened(model_folder):
            together.wait(10)

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(hold) for _ in range(4)]:
            done.result()
    assert len(loads) == 1


async def test_an_encoder_and_a_thread_share_the_model(model_folder: Path) -> None:
    with capture_logs() as logs:
        async with open_encoder(model_folder, cached_vectors=4) as encoder:
            vector = await encoder.embed("hello")
            with opened(model_folder) as model:
                assert np.array_equal(model.embed("hello"), vector)
            assert encoder.identity == identity()
    assert [line["event"] for line in logs] == ["embedder.loaded"]


def test_an_absent_model_is_made_by_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> None:
        commands.append(command)
        artefact.path_in(tmp_path).write_bytes(b"model")

    monkeypatch.setattr("pointsman.embedding.artefact.subprocess.run", run)
    with capture_logs() as logs:
        assert ensure(tmp_path) == ensure(tmp_path) == tmp_path / f"{identity()}.onnx"
    assert [command[1:] for command in commands] == [
        ["-m", "pointsman.embedding.export", "--out", str(tmp_path)]
    ]
    assert [line["event"] for line in logs] == ["embedder.exporting", "embedder.exported"]


def test_where_it_cannot_be_made_the_error_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(_: str) -> None: ...

    monkeypatch.setattr(artefact, "find_spec", nothing)
    with pytest.raises(ModelAbsent, match=r"\[export\] is not installed.*embedding\.export --out"):
        ensure(tmp_path)


def test_an_export_that_fails_says_why(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(ModelAbsent, match=r"the export failed .*Error"):
        ensure(blocked)


def test_serving_loads_neither_torch_nor_what_exports() -> None:
    code = (
        "import sys, pointsman.embedding;"
        "heavy = {'torch', 'sentence_transformers', 'transformers', 'onnx', 'onnxruntime',"
        " 'tokenizers'};"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_embedding_loads_no_torch(model_folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pointsman.embedding import opened\n"
        "with opened(Path(sys.argv[1])) as model: model.embed('hello')\n"
        "sys.exit(', '.join({'torch', 'transformers', 'onnx'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(model_folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
