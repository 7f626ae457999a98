"""Builds the catalogue: ``python -m pointsman.toolrag.catalogue --out DIR``."""

import argparse
import sys
from pathlib import Path

from pointsman.toolrag.adapters.embedding import MiniLmEmbedder
from pointsman.toolrag.adapters.files import ensure, manifest_of


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Derive the tool catalogue from botocore.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the catalogue's files")
    parser.add_argument(
        "--embedder",
        type=Path,
        default=Path(".state/embedder"),
        help="folder of the exported model; made when absent",
    )
    options = parser.parse_args(arguments)
    folder: Path = options.out
    with MiniLmEmbedder(options.embedder) as embedder:
        built = ensure(folder, embedder)
    manifest = manifest_of(folder)
    if manifest is None:
        raise SystemExit(f"{folder}: no catalogue was written")
    sys.stdout.write(
        f"catalogue {'built' if built else 'is current'}: {manifest.tools} tools, "
        f"{manifest.tokens} tokens of definitions, botocore {manifest.botocore}, {folder}\n"
    )


if __name__ == "__main__":
    main()
