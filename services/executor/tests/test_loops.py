"""What counts as running away, and what only looks like it."""

import base64
import json
import random
import string
import time
from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from pointsman.executor.domain.loops import BLANK_CHARS, LoopGuard


def stopped_at(text: str, size: int = 5, *, is_json: bool = False) -> int | None:
    """Characters that were let through; None for a text that was never stopped."""
    guard = LoopGuard(is_json=is_json)
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


def drawn(*words: str, count: int, seed: int = 0) -> list[str]:
    source = random.Random(seed)
    return [source.choice(words) for _ in range(count)]


def towers(disks: int, start: str = "A", end: str = "B", spare: str = "C") -> list[str]:
    if not disks:
        return []
    move = f"Move disk {disks} from {start} to {end}."
    before, after = towers(disks - 1, start, spare, end), towers(disks - 1, spare, end, start)
    return [*before, move, *after]


GIFTS = [
    "a partridge in a pear tree", "two turtle doves", "three French hens", "four calling birds",
    "five golden rings", "six geese a-laying", "seven swans a-swimming", "eight maids a-milking",
    "nine ladies dancing", "ten lords a-leaping", "eleven pipers piping", "twelve drummers",
]  # fmt: skip
IDENTITY = [[int(row == column) for column in range(30)] for row in range(30)]

# Right answers of little variety, whole up to about 4,000 characters, with and without an opening.
REPETITIVE = {
    "labels": json.dumps(drawn("neg", "neg", "neg", "pos", count=550)),
    "lopsided labels": json.dumps(drawn(*["neg"] * 60, "pos", count=550)),
    "yes or no": "\n".join(drawn("yes", "no", count=900)),
    "yes or no in a line": " ".join(drawn("yes", "no", "no", count=1_000)),
    "sentences as labels": " ".join(
        drawn("The review is positive.", "The review is negative.", count=170)
    ),
    "parts of speech": " ".join(drawn("the/DT", "dog/NN", "sees/VB", "O", count=700)),
    "identity matrix": json.dumps(IDENTITY)[:4_000],
    "matrix in LaTeX": "\\begin{pmatrix}\n"
    + " \\\\\n".join(" & ".join(map(str, row)) for row in IDENTITY)
    + "\n\\end{pmatrix}",
    "zeros": json.dumps([0] * 1_300),
    "table of zeros": "\n".join(["0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0"] * 120),
    "empty HTML rows": "\n".join(["  <tr><td></td><td></td><td></td><td></td></tr>"] * 85),
    "HTML in a line": '<td class="empty"></td>' * 170,
    "empty records": json.dumps([{"name": "", "value": None, "enabled": False}] * 80),
    "YAML": "\n".join(["- {name: unknown, status: pending, owner: nobody, retries: 0}"] * 65),
    "CSV with a remark": "\n".join(["unknown,pending,no remark was made by the customer"] * 78),
    "Markdown table": "\n".join(["| The order was shipped | on time | no remark |"] * 85),
    "SQL inserts": "\n".join(
        ["INSERT INTO events (kind, source, payload) VALUES ('click', 'web', NULL);"] * 54
    ),
    "code in a fence": "```c\n" + "    push(stack, 0); assert(stack != NULL);" * 95,
    "hexadecimal": " ".join(["00"] * 1_300),
    "base64": base64.b64encode(random.Random(1).randbytes(3_000)).decode(),
    "base64 of zeros": base64.b64encode(bytes(3_000)).decode(),
    "DNA": "".join(drawn(*"ACGT", count=4_000)),
    "codons": " ".join("".join(drawn(*"ACGT", count=3, seed=n)) for n in range(1_000)),
    "bits": " ".join(drawn(*"01", count=2_000)),
    "stars": "\n".join(" " * (40 - n) + "*" * (2 * n + 1) for n in range(40)),
    "life": "\n".join("".join(drawn(*".#", count=20, seed=n)) for n in range(190)),
    "empty board": "\n".join([". . . . . . . . ."] * 220),
    "chess": " ".join(
        f"{n}. {a}{b}{c}"
        for n, (a, b, c) in enumerate(
            zip(
                drawn(*"NBRQK", count=500),
                drawn(*"abcdefgh", count=500, seed=1),
                drawn(*"12345678", count=500, seed=2),
                strict=True,
            )
        )
    ),
    "shuffled knights": " ".join(f"{n}. Nf3 Nf6 {n + 1}. Ng1 Ng8" for n in range(1, 300, 2)),
    "dates": "\n".join(str(date(2024, 1, 1) + timedelta(days=n)) for n in range(360)),
    "weekdays": " ".join(["Monday Tuesday Wednesday Thursday Friday Saturday Sunday"] * 70),
    "products": "\n".join(f"{a} x {b} = {a * b}" for a in range(1, 20) for b in range(1, 20)),
    "remainders": "\n".join(f"{n} mod 3 = {n % 3}" for n in range(1, 280)),
    "assignments": ", ".join(["x = 0"] * 570),
    "directions": ", ".join(["right", "down"] * 330),
    "towers of Hanoi": " ".join(towers(7)),
    "translations": "\n".join(f"{w} - {w[::-1]}" for w in ["house", "tree", "water"] * 100),
    "twelve days": "\n\n".join(
        f"On day {n} of Christmas my true love sent to me\n" + ",\n".join(GIFTS[n::-1])
        for n in range(12)
    ),
    "chorus at the end": "\n".join(
        ["Oh the river runs on, and the road is long,\nand I sing to the moon along."] * 50
    ),
    "lines to write": "\n".join(["I will not talk in class."] * 150),
    "na na na": "na " * 1_300,
    "letters": "\n\n".join(
        f"Dear {name},\n\nthank you for your order. We are sorry to tell you that it is late, as"
        " the goods did not arrive from our supplier in time. We expect to send them in ten days."
        for name in ("Anna", "Ben", "Cleo", "Dora", "Emil", "Fay", "Gus", "Hal", "Ida", "Jon")
    ),
    "chinese labels": "，".join(drawn("正面", "负面", count=1_300)),
}  # fmt: skip

LOOPS = {
    "a sentence": "The answer is not among the options. ",
    "a short sentence": "The answer is (A). ",
    "a paragraph": prose(6) + " ",
    "an equation": "= \\frac{\\pi \\times 10^{-24}}{4 \\times 10^{-16}} \\times 5 \\times 10^4 ",
    "equations in lines": "&= \\frac{1}{2} \\sqrt{3} \\cdot 10^{-4} = \\frac{7}{8} \\\\\n",
    "chinese": "我们需要再计算一次这个问题的答案。可是还没有找到任何新的线索，所以再试一次。",
}
DATA_LOOPS = {
    "digits": "0",
    "a word": "no ",
    "lines": "&= -20250 - 10935 - 648 + 891 + 16038 \\\\\n",
    "empty cells": "<td></td>",
    "refrain": REFRAIN,
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


@pytest.mark.parametrize("name", REPETITIVE)
@pytest.mark.parametrize("opening", ["", "Here is what you asked for:\n\n", prose(10) + "\n\n"])
def test_a_right_answer_of_little_variety_is_left_alone(name: str, opening: str) -> None:
    text = opening + REPETITIVE[name][:4_800]

    assert [stopped_at(text, size) for size in (1, 5, 37)] == [None] * 3


@pytest.mark.parametrize("name", DATA_LOOPS)
def test_a_loop_of_what_may_be_data_or_verse_is_stopped_too(name: str) -> None:
    end = stopped_at(prose(10) + "\n" + DATA_LOOPS[name] * (40_000 // len(DATA_LOOPS[name])))

    assert end is not None
    assert 6_000 <= end <= 9_000


def test_who_asked_for_json_gets_more_of_it() -> None:
    zeros = json.dumps([0] * 20_000)

    patient, quick = stopped_at(zeros, is_json=True), stopped_at(zeros)

    assert quick is not None
    assert patient is not None
    assert quick < 8_000
    assert 20_000 < patient < 30_000


@pytest.mark.parametrize("blank", ["\n", " ", "\t", " \r\n"])
@pytest.mark.parametrize("is_json", [True, False])
def test_endless_white_space_is_stopped(blank: str, is_json: bool) -> None:
    opening = '{"a": 1'

    end = stopped_at(opening + blank * 40_000, is_json=is_json)

    assert end is not None
    assert BLANK_CHARS <= end <= BLANK_CHARS + len(opening) + 200


def test_white_space_between_words_is_no_news() -> None:
    loop = "The answer is not among the options." + " " * 150

    end = stopped_at(prose(10) + loop * 100)

    assert end is not None
    assert end < len(prose(10)) + 12 * len(loop)


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
    # A stream may be read on after the guard has spoken.
    assert cpu_s(short + "\n" * len(long)) < 4 * ratio * cpu_s(short)


def pieces(text: str) -> Iterator[str]:
    return (text[start : start + 5] for start in range(0, len(text), 5))
