"""Builds the catalogue: ``python -m pointsman.toolrag.catalogue --out DIR``."""

import argparse
import sys
from pathlib import Path

from pointsman.toolrag.adapters.embedding import MiniLmEmbedder
from pointsman.toolrag.adapters.files import ensure, manifest_of


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Derive the tool catalogue from botocore.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the catalogue's files")
    folder: Path = parser.parse_args(arguments).out
    built = ensure(folder, MiniLmEmbedder(_show))
    manifest = manifest_of(folder)
    if manifest is None:
        raise SystemExit(f"{folder}: no catalogue was written")
    sys.stdout.write(
        f"catalogue {'built' if built else 'is current'}: {manifest.tools} tools, "
        f"{manifest.tokens} tokens of definitions, botocore {manifest.botocore}, {folder}\n"
    )


def _show(done: int, total: int) -> None:
    sys.stderr.write(f"\rembedding tools {done}/{total}" + ("\n" if done == total else ""))
    sys.stderr.flush()


if __name__ == "__main__":
    main()
