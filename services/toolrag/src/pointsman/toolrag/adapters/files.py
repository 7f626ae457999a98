"""The catalogue on disk: built once at set-up, rebuilt when botocore or the derivation changes.

Owns the folder's layout: ``tools.jsonl`` (one tool per line), ``vectors-<hash>.npy`` (one row per
line), ``manifest.json`` (written last; without it the folder counts as absent).
"""

import fcntl
import hashlib
import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from pointsman.embedding import identity
from pointsman.toolrag.adapters.embedding import token_counter
from pointsman.toolrag.adapters.operations import SERVICES, derive_tools
from pointsman.toolrag.domain import DIMENSIONS, Catalogue, Embedder, Tool, Vectors

TOOLS: Final = "tools.jsonl"
MANIFEST: Final = "manifest.json"


class Manifest(BaseModel):
    """What a folder holds. ``version`` hashes what it was made from, ``vectors`` names the file."""

    model_config = ConfigDict(frozen=True)

    version: str
    botocore: str
    vectors: str
    tools: int
    tokens: int


def current_version() -> str:
    """Return the hash of what decides the catalogue's content: botocore, services, model, code."""
    from botocore import __version__

    digest = hashlib.sha256(f"{__version__} {SERVICES} {identity()}".encode())
    package = Path(__file__).parent.parent
    for source in (
        "adapters/operations.py",
        "adapters/schemas.py",
        "domain/tool.py",
        "domain/terms.py",
    ):
        digest.update((package / source).read_bytes())
    return digest.hexdigest()[:16]


def manifest_of(folder: Path) -> Manifest | None:
    """Return what the folder says it holds, or None where it holds nothing readable."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError):
        return None


def is_current(folder: Path) -> bool:
    manifest = manifest_of(folder)
    return (
        manifest is not None
        and manifest.version == current_version()
        and (folder / TOOLS).is_file()
        and (folder / manifest.vectors).is_file()
    )


def ensure(folder: Path, embedder: Embedder) -> bool:
    """Build the catalogue in ``folder`` if it is absent or stale; return whether it was built.

    Two processes that start at once do not build twice: the second waits for the first.
    """
    if is_current(folder):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        if is_current(folder):
            return False
        build(folder, embedder)
        return True


def build(folder: Path, embedder: Embedder) -> Manifest:
    """Derive all tools and write the folder's files; vectors are kept where no text has changed."""
    from botocore import __version__

    folder.mkdir(parents=True, exist_ok=True)
    tools = derive_tools(token_counter())
    vectors = _vectors_name(tools)
    if not (folder / vectors).is_file():
        _save(folder / vectors, embedder.embed([tool.text for tool in tools]))
    _write(folder / TOOLS, "".join(f"{_line(tool)}\n" for tool in tools))
    manifest = Manifest(
        version=current_version(),
        botocore=__version__,
        vectors=vectors,
        tools=len(tools),
        tokens=sum(tool.tokens for tool in tools),
    )
    _write(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    for stale in folder.glob("vectors-*.npy"):
        if stale.name != vectors:
            stale.unlink()
    return manifest


def load(folder: Path) -> Catalogue:
    """Read a built catalogue.

    Raises: FileNotFoundError if there is none, ValueError if its files contradict each other.
    """
    manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    with (folder / TOOLS).open(encoding="utf-8") as lines:
        tools = tuple(Tool.model_validate_json(line) for line in lines)
    vectors: Vectors = np.load(folder / manifest.vectors)
    if vectors.shape != (len(tools), DIMENSIONS) or len(tools) != manifest.tools:
        raise ValueError(f"{folder}: {len(tools)} tools, vectors of shape {vectors.shape}")
    return Catalogue(tools=tools, vectors=vectors)


def _line(tool: Tool) -> str:
    data = tool.model_dump(mode="json", exclude_none=True)
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _vectors_name(tools: list[Tool]) -> str:
    digest = hashlib.sha256(identity().encode())
    for tool in tools:
        digest.update(b"\0" + tool.text.encode())
    return f"vectors-{digest.hexdigest()[:16]}.npy"


def _save(path: Path, vectors: Vectors) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, vectors)
    partial.replace(path)


def _write(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
