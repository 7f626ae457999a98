import json
from pathlib import Path

import numpy as np
import pytest

from pointsman.toolrag import evaluate


@pytest.mark.parametrize(
    ("ranked", "needed", "recall", "complete"),
    [
        (["a", "b"], [{"a"}, {"b"}], 1.0, 1.0),
        (["a", "x"], [{"a"}, {"b"}], 0.5, 0.0),
        (["x"], [{"a"}], 0.0, 0.0),
        (["b"], [{"a", "b"}], 1.0, 1.0),
        (["x", "x2", "x3", "x4", "x5", "a"], [{"a"}], 0.0, 0.0),
    ],
)
def test_score_counts_needed_tools_in_the_first_five(
    ranked: list[str], needed: list[set[str]], recall: float, complete: float
) -> None:
    result = evaluate.score(ranked, [frozenset(group) for group in needed])
    assert (result.recall, result.complete) == (recall, complete)


def test_requests_are_read_with_their_alternatives(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"id": "1", "query": "q1", "tool_ids": ["a"], "split": "dev", "source": "s"},
        {"id": "2", "query": "q2", "tool_ids": ["a"], "split": "train", "source": "s"},
        {"id": "3", "query": "q3", "tool_ids": [], "split": "dev", "source": "s"},
        {
            "id": "4",
            "query": "q4",
            "tool_ids": ["a"],
            "any_of": [["a", "b"], ["c"]],
            "split": "dev",
            "source": "s",
        },
    ]
    (tmp_path / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = evaluate.read_requests(tmp_path, "s", split="dev", limit=10)
    assert {request.text: request.needed for request in read} == {
        "q1": (frozenset("a"),),
        "q4": (frozenset("ab"), frozenset("c")),
    }


def test_absent_data_ends_with_a_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="nothing was measured"):
        evaluate.main(["--data", str(tmp_path)])


def test_agreement_says_how_many_rankings_and_vectors_are_the_same() -> None:
    vectors = np.eye(3, dtype=np.float32)

    def measured(*first: tuple[str, ...]) -> evaluate.Measured:
        return evaluate.Measured(vectors=vectors, scores={}, first=list(first))

    served = measured(("a", "b"), ("a", "b"), ("a", "c"), ("b", "a"))
    reference = measured(("a", "b"), ("a", "b"), ("a", "b"), ("a", "b"))
    assert evaluate.agreement(served, reference) == (
        "cosine mean 1.0000 min 1.0000; "
        "same tool first 75.0 %, same five 75.0 %, shared of five 87.5 %"
    )
