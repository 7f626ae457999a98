"""What a vector costs: file, start, memory, CPU by length. Not a test: prints figures.

python libs/embedding/tests/measure_cost.py [--embedder FOLDER]
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pointsman.embedding import opened
from pointsman.embedding.artefact import path_in
from pointsman.embedding.model import Model, tokenizer

LENGTHS = (20, 60, 128, 256)
RUNS = 60
WORDS = "the quick auditor lists every cluster role that may read a bucket before noon and why "


def text_of(tokens: int) -> str:
    """Return a text of ``tokens`` tokens, the two that frame it included."""
    words = tokenizer()
    text = WORDS * 20
    words.enable_truncation(tokens)
    return words.decode(words.encode(text).ids)


def cpu_ms(embed: Callable[[str], object], text: str) -> tuple[float, float]:
    """Return the best and the median of many, in CPU milliseconds of this thread."""
    for _ in range(5):
        embed(text)
    found: list[float] = []
    for _ in range(RUNS):
        started = time.thread_time()
        embed(text)
        found.append(1000 * (time.thread_time() - started))
    return min(found), sorted(found)[RUNS // 2]


def resident_mb() -> float:
    rows = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (row,) = (row for row in rows if row.startswith("VmRSS:"))
    return int(row.split()[1]) / 1024


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def show(name: str, embed: Callable[[str], object]) -> None:
    found = [cpu_ms(embed, text_of(tokens)) for tokens in LENGTHS]
    say(f"{name:<36}" + "".join(f" {best:6.2f}/{median:6.2f}" for best, median in found))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what a vector costs.")
    parser.add_argument("--embedder", type=Path, default=Path(".state/embedder"))
    folder: Path = parser.parse_args().embedder
    before, started = resident_mb(), time.perf_counter()
    with opened(folder) as model:
        model.embed("hello")
        say(f"file {path_in(folder).stat().st_size / 1e6:.1f} MB")
        say(f"to the first vector {time.perf_counter() - started:.3f} s, libraries included")
        say(f"resident {resident_mb():.0f} MB, {before:.0f} of them before")
        say("CPU ms a text, best/median   tokens: " + ", ".join(map(str, LENGTHS)))
        show("ONNX Runtime int8 (served)", model.embed)
        say(f"resident after texts of all lengths {resident_mb():.0f} MB")
        from pointsman.embedding.export import float_graph
        from pointsman.embedding.reference import load_reference, reference_vectors

        reference = load_reference()
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / "float.onnx"
            path.write_bytes(float_graph(reference).SerializeToString())
            show("ONNX Runtime fp32", Model(path).embed)
        show("sentence-transformers, torch fp32", lambda t: reference_vectors(reference, [t]))


if __name__ == "__main__":
    main()
