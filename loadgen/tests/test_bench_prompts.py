import gzip
import json
from pathlib import Path

from pointsman.loadgen.bench.prompts import (
    CHARS_PER_TOKEN,
    PLUMBING,
    SOURCES,
    Prompts,
    document_of,
    load_prompts,
    mark,
)

GROUPS = ((("short one", "short two", "short one"), 3), (("a rather long text",), 1))


def test_no_prompt_comes_twice_even_when_the_texts_are_used_up() -> None:
    prompts = Prompts(GROUPS, seed=1, name="two groups")
    asked = [prompts.distinct(index) for index in range(400)]
    assert len(set(asked)) == 400


def test_the_mix_has_the_shares_of_its_sources() -> None:
    prompts = Prompts(GROUPS, seed=1, name="two groups")
    asked = [prompts.distinct(index) for index in range(400)]
    assert sum(text.startswith("short") for text in asked) == 300


def test_the_same_seed_asks_the_same() -> None:
    first, second, other = (Prompts(GROUPS, seed=seed, name="") for seed in (1, 1, 2))
    asked = [[one.distinct(index) for index in range(40)] for one in (first, second, other)]
    assert asked[0] == asked[1]
    assert asked[0] != asked[2]


def test_marks_are_words_without_digits_and_never_the_same() -> None:
    marks = [mark(number) for number in range(10_000)]
    assert len(set(marks)) == 10_000
    assert all(text.replace(" ", "").isalpha() for text in marks)


def test_long_prompts_have_their_length_and_are_distinct() -> None:
    for tokens in (100, 30_000):
        asked = [document_of(tokens, index) for index in range(5)]
        assert len(set(asked)) == 5
        assert {len(text) for text in asked} == {tokens * CHARS_PER_TOKEN}


def test_without_a_data_folder_the_prompts_are_our_own_and_say_so(tmp_path: Path) -> None:
    prompts = load_prompts(tmp_path)
    assert prompts.name.startswith("the demo's own requests")
    asked = [prompts.distinct(index) for index in range(2000)]
    assert len(set(asked)) == 2000
    lengths = prompts.lengths()
    assert lengths["p10"] < lengths["p50"] < lengths["p99"] <= lengths["max"]


def test_a_data_folder_is_read_with_its_shares(tmp_path: Path) -> None:
    for source in SOURCES:
        rows = "".join(
            json.dumps({source.field: f"{source.path} row {row}"}) + "\n" for row in range(200)
        )
        path = tmp_path / source.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(rows.encode()) if path.suffix == ".gz" else rows.encode())
    prompts = load_prompts(tmp_path)
    asked = [prompts.distinct(index) for index in range(100)]
    for source in SOURCES:
        assert sum(text.startswith(f"{source.path} ") for text in asked) == source.weight
    assert sum(source.weight for source in SOURCES) == 100


def test_the_plumbing_pool_is_short_and_without_repetition() -> None:
    assert len(set(PLUMBING)) == len(PLUMBING)
    assert max(len(text) for text in PLUMBING) < 60
