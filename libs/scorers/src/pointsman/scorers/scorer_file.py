"""The file a learned scorer is shipped in: named arrays, compressed; same arrays, same bytes.

Owns reading and writing. What the arrays mean is the scorer's that reads them.
"""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The oldest date a zip file can hold; a real one would change the file each time."""


class InvalidScorerFile(ValueError):
    """The file holds no scorer. ``path`` is the file, ``reason`` says why."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


def write_scorer(path: Path, arrays: Arrays) -> None:
    """Write ``arrays`` to ``path`` in NumPy's ``.npz`` format, in the order of their names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in sorted(arrays.items()):
            content = io.BytesIO()
            np.save(content, array, allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", _EPOCH),
                content.getvalue(),
                compress_type=zipfile.ZIP_DEFLATED,
            )


def read_scorer(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a scorer file by name.

    Raises: InvalidScorerFile.
    """
    try:
        loaded: object = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise InvalidScorerFile(path, "a single array, not a scorer")
        with loaded:
            return {name: cast("NDArray[Any]", loaded[name]) for name in loaded.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, InvalidScorerFile):
            raise
        raise InvalidScorerFile(path, f"no scorer file: {error}") from error
