"""Which recordings are sent: a sample with each category's share, the same for the same seed."""

import random
from collections import defaultdict
from collections.abc import Mapping

from pointsman.evaluation.pipeline_route import CascadeRoute
from pointsman.loadgen.recordings import Recording, Recordings


class NothingToSample(ValueError):
    """No row of the recordings holds an answer of every model of the route."""


def sampled(
    recordings: Recordings, route: CascadeRoute, count: int, *, seed: int
) -> tuple[Recording, ...]:
    """Return ``count`` rows, each category's share as in the file; all if there are no more.

    Only rows that hold an answer of every model of the route, and that are replayed.
    Raises: NothingToSample.
    """
    by_category: dict[str, list[Recording]] = defaultdict(list)
    for row in recordings.rows:
        if set(route.models) <= set(row.answers) and recordings.find(row.prompt) is row:
            by_category[row.category].append(row)
    if not by_category:
        raise NothingToSample(f"no row of {recordings.file} has all of {', '.join(route.models)}")
    rng = random.Random(seed)
    shares = _shares({name: len(rows) for name, rows in by_category.items()}, count)
    chosen = [row for name in sorted(shares) for row in rng.sample(by_category[name], shares[name])]
    rng.shuffle(chosen)
    return tuple(chosen)


def _shares(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """Whole numbers in proportion to ``sizes`` that sum to ``count``: largest remainders."""
    total = sum(sizes.values())
    count = min(count, total)
    shares = {name: count * size // total for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(count * sizes[name] % total), name))
    for name in by_remainder[: count - sum(shares.values())]:
        shares[name] += 1
    return shares
