"""An intent head as a scorer file: the names of its arrays. Owns no arithmetic."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointsman.scorers.intents import GramProjection, IntentHead, Net, Quantised, TopicSet
from pointsman.scorers.scorer_file import InvalidScorerFile, read_scorer, write_scorer

Arrays = Mapping[str, NDArray[Any]]


def write_intents(path: Path, head: IntentHead) -> None:
    """Write ``head``; the same head is the same bytes."""
    arrays = {
        "rarity": head.projection.rarity.astype(np.float16),
        **_of_matrix("axes", head.projection.axes),
        "landmarks": head.landmarks.astype(np.float16),
        "far": np.float32(head.far).reshape(1),
        "sets": np.array(len(head.sets)).reshape(1),
    }
    for place, one in enumerate(head.sets):
        at = f"set{place}"
        arrays |= {
            f"{at}_topics": np.array(one.topics),
            f"{at}_domains": np.array(one.domains),
            f"{at}_domain_of": one.domain_of.astype(np.int16),
            f"{at}_scope": np.array(one.scope, np.float32),
            f"{at}_nets": np.array(len(one.nets)).reshape(1),
        }
        for number, net in enumerate(one.nets):
            arrays |= _of_matrix(f"{at}_net{number}_first", net.first)
            arrays |= _of_matrix(f"{at}_net{number}_second", net.second)
            arrays[f"{at}_net{number}_first_bias"] = net.first_bias
            arrays[f"{at}_net{number}_second_bias"] = net.second_bias
    write_scorer(path, arrays)


def read_intents(path: Path) -> IntentHead:
    """Return the head of a file.

    Raises: InvalidScorerFile.
    """
    arrays = read_scorer(path)
    try:
        return _head(arrays)
    except (KeyError, ValueError, IndexError) as error:
        raise InvalidScorerFile(path, f"no intent head: {error}") from error


def _head(arrays: Arrays) -> IntentHead:
    return IntentHead(
        projection=GramProjection(
            rarity=arrays["rarity"].astype(np.float32), axes=_matrix("axes", arrays)
        ),
        sets=tuple(_topics(f"set{place}", arrays) for place in range(int(arrays["sets"][0]))),
        landmarks=arrays["landmarks"].astype(np.float32),
        far=float(arrays["far"][0]),
    )


def _topics(at: str, arrays: Arrays) -> TopicSet:
    first, second, bias = arrays[f"{at}_scope"].tolist()
    return TopicSet(
        topics=tuple(arrays[f"{at}_topics"].tolist()),
        domains=tuple(arrays[f"{at}_domains"].tolist()),
        domain_of=arrays[f"{at}_domain_of"].astype(np.int64),
        scope=(first, second, bias),
        nets=tuple(
            Net(
                first=_matrix(f"{at}_net{number}_first", arrays),
                first_bias=arrays[f"{at}_net{number}_first_bias"],
                second=_matrix(f"{at}_net{number}_second", arrays),
                second_bias=arrays[f"{at}_net{number}_second_bias"],
            )
            for number in range(int(arrays[f"{at}_nets"][0]))
        ),
    )


def _of_matrix(name: str, matrix: Quantised) -> dict[str, NDArray[Any]]:
    return {f"{name}_values": matrix.values, f"{name}_scale": matrix.scale}


def _matrix(name: str, arrays: Arrays) -> Quantised:
    return Quantised(values=arrays[f"{name}_values"], scale=arrays[f"{name}_scale"])
