from collections.abc import Callable

import numpy as np
import pytest

from pointsman.toolrag.domain import (
    Catalogue,
    LexicalIndex,
    ToolIndex,
    Vectors,
    providers,
    query_terms,
    terms,
    wants_change,
)

Embed = Callable[[str], Vectors]


@pytest.mark.parametrize(
    ("text", "stems"),
    [
        ("DescribeLogGroups", ["describeloggroups", "describ", "log", "group"]),
        ("describe_log_groups", ["describ", "log", "group"]),
        ("GetSAMLProvider", ["getsamlprovider", "saml", "provider"]),
        ("the policies of all services", ["policy", "servic"]),
        ("logging, logged and logs", ["log", "log", "log"]),
        ("running builds", ["run", "build"]),
        ("Zeige die Aufträge", ["zeig", "die", "aufträge"]),
        ("", []),
    ],
)
def test_identifiers_and_sentences_become_the_same_stems(text: str, stems: list[str]) -> None:
    assert terms(text) == stems


def test_related_api_words_count_less_than_the_request_itself() -> None:
    weights = query_terms("audit the cluster")
    assert weights["audit"] == weights["cluster"] == 1.0
    assert 0 < weights["event"] < 1.0


def test_rare_words_outweigh_common_ones() -> None:
    index = LexicalIndex([{"log": 1.0, "group": 1.0}, {"log": 1.0, "stream": 1.0}, {"log": 1.0}])
    scores = index.scores({"log": 1.0, "stream": 1.0, "unknown": 1.0})
    assert int(scores.argmax()) == 1
    assert scores[1] > 2 * scores[2]


def test_parts_of_a_score_add_up_to_it() -> None:
    index = LexicalIndex([{"log": 1.0, "group": 1.0}, {"log": 1.0, "stream": 1.0}, {"log": 1.0}])
    matches = index.matches({"stream": 2.0, "log": 1.0, "unknown": 1.0})
    parts = matches.among(np.array([2, 1]))
    assert parts.shape == (2, 2)
    assert parts[1].tolist() == [0.0, pytest.approx(2 * index.scores({"stream": 1.0})[1])]
    assert parts.sum(axis=0).tolist() == pytest.approx(matches.scores()[[2, 1]].tolist())


def test_no_known_word_scores_nothing() -> None:
    assert LexicalIndex([{"log": 1.0}]).scores({"unknown": 1.0}).tolist() == [0.0]
    assert LexicalIndex([]).scores({"log": 1.0}).shape == (0,)


def test_a_word_is_read_alike_however_long_or_often_it_was_read() -> None:
    long = "GetSAMLProvider" * 20
    assert [terms(f"{long} logs") for _ in range(2)] == [[*terms(long), "log"]] * 2
    assert terms(long)[0] == long.lower()


def test_cosines_are_the_same_in_blocks(small_catalogue: Catalogue) -> None:
    many = Catalogue(
        tools=small_catalogue.tools * 40, vectors=np.tile(small_catalogue.vectors, (40, 1))
    )
    assert len(many.tools) > 2_000
    vector = small_catalogue.vectors[3]
    cosines = ToolIndex(many).cosines(vector)
    np.testing.assert_allclose(cosines, many.vectors @ vector, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Delete the log group /aws/a", True),
        ("List access keys and rotate them", True),
        ("Could you please create a cluster?", True),
        ("I want to change my password", True),
        ("Audit all cluster security logs", False),
        ("Who deleted the production bucket?", False),
        ("Show a set of users", False),
        ("Which clusters were created today", False),
    ],
)
def test_request_asks_for_a_change_only_by_an_imperative(text: str, expected: bool) -> None:
    assert wants_change(text) is expected


def _ids(index: ToolIndex, text: str, embed: Embed, *, max_k: int = 8) -> list[str]:
    return [hit.tool.tool_id for hit in index.bind(text, embed(text), min_k=3, max_k=max_k)]


def test_request_finds_the_operations_it_names(small_index: ToolIndex, embed_one: Embed) -> None:
    ids = _ids(small_index, "Find error events in the log group of payments", embed_one)
    assert {"logs.FilterLogEvents", "logs.DescribeLogGroups"} <= set(ids)


def test_request_over_two_services_binds_tools_of_both(
    small_index: ToolIndex, embed_one: Embed
) -> None:
    ids = _ids(small_index, "Audit all cluster security logs", embed_one)
    assert {one.split(".")[0] for one in ids} == {"eks", "logs"}
    assert "eks.ListClusters" in ids


def test_reading_request_is_offered_no_writing_tool(
    small_index: ToolIndex, embed_one: Embed
) -> None:
    for text in ("Which clusters were deleted?", "Show log groups"):
        hits = small_index.bind(text, embed_one(text), min_k=8, max_k=8)
        assert {hit.tool.effect for hit in hits} == {"read"}


def test_change_is_offered_the_tool_that_writes(small_index: ToolIndex, embed_one: Embed) -> None:
    text = "Delete the cluster named blue"
    hits = small_index.bind(text, embed_one(text), min_k=3, max_k=8)
    assert ("eks.DeleteCluster", "write") in [(hit.tool.tool_id, hit.tool.effect) for hit in hits]


@pytest.mark.parametrize(
    ("tool_id", "needs"),
    [
        ("eks.DescribeCluster", ["eks.ListClusters"]),
        ("eks.DescribeNodegroup", ["eks.ListClusters", "eks.ListNodegroups"]),
        ("eks.ListClusters", []),
        ("guardduty.GetFindings", ["guardduty.ListDetectors", "guardduty.ListFindings"]),
        ("cognito-idp.GetUserPoolMfaConfig", ["cognito-idp.ListUserPools"]),
        ("inspector2.GetClustersForImage", []),
    ],
)
def test_required_inputs_are_traced_to_the_tool_that_yields_them(
    full_catalogue: Catalogue, tool_id: str, needs: list[str]
) -> None:
    tools = full_catalogue.tools
    row = [tool.tool_id for tool in tools].index(tool_id)
    assert [tools[at].tool_id for at in providers(tools)[row]] == needs


def test_tool_comes_with_the_one_that_fills_its_required_input(
    small_index: ToolIndex, embed_one: Embed
) -> None:
    text = "Describe the addon coredns"
    ids = _ids(small_index, text, embed_one)
    assert "eks.ListClusters" in ids
    assert ids.index("eks.ListClusters") < ids.index("eks.DescribeAddon")


@pytest.mark.parametrize("max_k", [1, 3, 5, 8])
def test_no_more_tools_than_allowed_companions_included(
    small_index: ToolIndex, embed_one: Embed, max_k: int
) -> None:
    text = "Describe addon, nodegroup, insight and access entry of a cluster"
    hits = small_index.bind(text, embed_one(text), min_k=1, max_k=max_k)
    assert 1 <= len(hits) <= max_k
    assert len({hit.tool.tool_id for hit in hits}) == len(hits)


def test_clear_request_binds_fewer_tools_than_a_vague_one(
    small_index: ToolIndex, embed_one: Embed
) -> None:
    clear = _ids(small_index, "FilterLogEvents", embed_one)
    vague = _ids(small_index, "Audit all cluster security logs", embed_one)
    assert len(clear) < len(vague)


def test_ties_are_broken_by_the_lower_row(small_catalogue: Catalogue) -> None:
    flat = Catalogue(tools=small_catalogue.tools, vectors=np.zeros_like(small_catalogue.vectors))
    index = ToolIndex(flat)
    zero = np.zeros(384, dtype=np.float32)
    first, second = (index.rank("zzz", zero, k=5) for _ in range(2))
    assert first == second
    rows = [flat.tools.index(hit.tool) for hit in first if hit.score == first[-1].score]
    assert rows == sorted(rows)


def test_tools_of_the_client_are_not_shadowed(small_index: ToolIndex, embed_one: Embed) -> None:
    text = "List all clusters"
    hits = small_index.rank(text, embed_one(text), k=8, hidden=frozenset({"eks_list_clusters"}))
    assert "eks.ListClusters" not in [hit.tool.tool_id for hit in hits]


def test_meaning_alone_finds_a_tool_that_shares_no_word(small_catalogue: Catalogue) -> None:
    index = ToolIndex(small_catalogue)
    row = [tool.tool_id for tool in small_catalogue.tools].index("eks.ListNodegroups")
    hits = index.rank("zzz yyy", small_catalogue.vectors[row], k=1)
    assert hits[0].tool.tool_id == "eks.ListNodegroups"
