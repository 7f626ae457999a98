"""Loads the learned heads from the folder they are shipped in."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from numpy.typing import NDArray

from pointsman.judge.domain import Heads
from pointsman.judge.domain.acceptance import Acceptance
from pointsman.judge.domain.support import Support
from pointsman.scorers.scorer_file import InvalidScorerFile, read_scorer

SHIPPED: Final = Path(__file__).parents[1] / "weights"
ACCEPTANCE_FILE: Final = "acceptance.npz"
SUPPORT_FILE: Final = "support.npz"

T = TypeVar("T")


def load_heads(folder: Path = SHIPPED) -> Heads:
    """Return the heads in ``folder``.

    Raises: InvalidScorerFile, which names the file; without its heads the judge does not start.
    """
    return Heads(
        support=_load(folder / SUPPORT_FILE, Support.from_arrays),
        acceptance=_load(folder / ACCEPTANCE_FILE, Acceptance.from_arrays),
    )


def _load(path: Path, read: Callable[[Mapping[str, NDArray[Any]]], T]) -> T:
    arrays = read_scorer(path)
    try:
        return read(arrays)
    except (KeyError, ValueError) as error:
        raise InvalidScorerFile(path, f"not this version's weights: {error}") from error
