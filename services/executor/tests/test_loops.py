"""What counts as running away, and what only looks like it."""

import json
import random
import string
import time
from collections.abc import Iterator

import pytest

from pointsman.executor.domain.loops import LoopGuard


def stopped_at(text: str, size: int = 5) -> int | None:
    """Characters that were let through; None for a text that was never stopped."""
    guard = LoopGuard()
    for start in range(0, len(text), size):
        if guard.feed(text[start : start + size]):
            return min(len(text), start + size)
    return None


def prose(sentences: int, seed: int = 1) -> str:
    source = random.Random(seed)
    words = ["".join(source.choices(string.ascii_lowercase, k=source.randint(2, 9)))
             for _ in range(400)]  # fmt: skip
    return " ".join(
        " ".join(source.choices(words, k=source.randint(6, 18))).capitalize() + "."
        for _ in range(sentences)
    )


REFRAIN = (
    "\n\nOh the river runs on, oh the river runs on,\nand the road that I walk on is long.\n\n"
)
CODE = "\n".join(
    f"""@pytest.mark.parametrize("value", [None, 0, "text"])
def test_{name}_refuses_what_is_no_number(value: object, client: Client) -> None:
    response = client.post("/{name}", json={{"value": value}})

    assert response.status_code == 422
    assert response.json()["detail"][0]["type"] == "value_error.number"

"""
    for name in ("price", "weight", "height", "width", "depth", "volume", "amount", "total", "rate",
                 "share", "count", "limit", "offset", "score", "rank", "level", "grade", "mass")
)  # fmt: skip

WHOLE = {
    "long prose": prose(300),
    "poem with a refrain": REFRAIN.join(prose(8, seed) for seed in range(12)),
    "records": json.dumps(
        [{"id": number, "active": True, "role": "user", "region": "eu-central-1", "quota": None}
         for number in range(300)],
        indent=2,
    ),
    "table": "\n".join(
        f"| item {n} | {n * 7919 % 1000} | EUR | in stock | no |" for n in range(300)
    ),
    "tests of one shape": CODE,
    "counting": " ".join(
        f"{n} bottles of beer on the wall, {n} bottles of beer." for n in range(300)
    ),
    "steps": "\n".join(
        f"{n}. Open the page, choose entry {n} in the list on the left, and press Save."
        for n in range(80)
    ),
    "picture": "+" + "-" * 40 + "+\n" + ("|" + " " * 40 + "|\n") * 12 + "+" + "-" * 40 + "+",
    "divided sections": "\n\n----------------------------------------\n\n".join(
        prose(3, seed) for seed in range(60)
    ),
    "code said three times": "\n\n".join([prose(12)] * 3) + prose(20, 2),
    "chinese": "".join(
        chr(0x4E00 + n * 7 % 5000) + ("，" if n % 17 == 0 else "") for n in range(6000)
    ),
}  # fmt: skip

LOOPS = {
    "a sentence": "The answer is not among the options. ",
    "a paragraph": prose(6) + " ",
    "an equation": "= \\frac{\\pi \\times 10^{-24}}{4 \\times 10^{-16}} \\times 5 \\times 10^4 ",
    "digits": "0",
    "a word": "no ",
    "lines": "&= -20250 - 10935 - 648 + 891 + 16038 \\\\\n",
    "chinese": "我们需要再计算一次这个问题的答案",
}


@pytest.mark.parametrize("name", WHOLE)
def test_an_answer_that_says_something_is_left_alone(name: str) -> None:
    assert stopped_at(WHOLE[name]) is None


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_is_stopped(name: str) -> None:
    opening = prose(10) + "\n"

    end = stopped_at(opening + LOOPS[name] * (40_000 // len(LOOPS[name])))

    assert end is not None
    # Said four times, and what counts as a run after it; a cycle may need some rounds to line up.
    assert len(opening) + 700 <= end <= len(opening) + 5 * len(LOOPS[name]) + 1_400


@pytest.mark.parametrize("size", [1, 3, 17, 128])
def test_the_size_of_the_pieces_decides_nothing_but_the_place(size: int) -> None:
    loop = prose(10) + " The value is not among the options." * 200
    end = stopped_at(loop, size)
    reference = stopped_at(loop, 5)

    assert end is not None
    assert reference is not None
    assert abs(end - reference) <= 200 + size
    assert stopped_at(WHOLE["records"], size) is None


def test_it_says_so_where_a_word_ends_and_says_it_again() -> None:
    guard = LoopGuard()
    text = prose(10) + " The value is not among the options." * 100
    said = [guard.feed(char) for char in text]

    first = said.index(True)
    assert not text[first].isalnum()
    assert all(said[first:])


def test_a_loop_that_weighs_lettered_options_has_more_time() -> None:
    options = "So option (A) is a true statement, but option (B) is one too. "
    one = "So option (A) is a true statement, and the others are not at all. "

    patient, quick = stopped_at(options * 400), stopped_at(one * 400)

    assert quick is not None
    assert patient is not None
    assert patient - quick > 4_000


def test_what_it_costs_grows_with_the_text_alone() -> None:
    def cpu_s(text: str) -> float:
        guard = LoopGuard()
        started = time.process_time()
        for piece in pieces(text):
            guard.feed(piece)
        return time.process_time() - started

    short, long = prose(600), prose(6_000)
    ratio = len(long) / len(short)

    assert min(cpu_s(long) for _ in range(3)) < 4 * ratio * min(cpu_s(short) for _ in range(3))


def pieces(text: str) -> Iterator[str]:
    return (text[start : start + 5] for start in range(0, len(text), 5))
