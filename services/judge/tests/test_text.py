"""Words and letters of a text: the quick ways give what the plain ones give."""

import re

import pytest

from pointsman.judge.domain.languages import mentions_language, script_of
from pointsman.judge.domain.text import (
    Wording,
    first_word,
    is_mentioned,
    is_spaced,
    letters_of,
    words,
)

PLAIN_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
TEXTS = [
    "",
    " _ -- ...",
    "It's 3.5 GB_of RAM, isn't IT?",
    "It’s naïve, Zoë: 12 €",
    "İstanbul'da ΟΔΟΣ ΣΑΣ'Σ Straße ſo K2",
    "日本語のテキスト and English",
]


@pytest.mark.parametrize("text", TEXTS)
def test_words_are_lower_case_and_in_order(text: str) -> None:
    plain = [match.group().lower() for match in PLAIN_WORD.finditer(text)]
    assert words(text) == plain
    assert first_word(text) == next(iter(plain), "")


@pytest.mark.parametrize("text", TEXTS)
def test_letters_are_counted_in_any_script(text: str) -> None:
    ascii_letters, others = letters_of(text)
    letters = [char for char in text if char.isalpha()]
    assert ascii_letters == sum(char.isascii() for char in letters)
    assert others == [char for char in letters if not char.isascii()]


@pytest.mark.parametrize(
    ("text", "script", "spaced"),
    [
        ("A plain English sentence, with 2 commas.", "LATIN", True),
        ("Ein Satz über Äpfel, Öl und Übermut.", "LATIN", True),
        ("Обычное русское предложение из слов.", "CYRILLIC", False),
        ("これは日本語の文章で、漢字とかながあります。", "CJK", False),
        ("half english и половина по-русски слова", None, False),
        ("1 + 1 = 2", None, True),
    ],
)
def test_a_script_is_told_by_most_letters(text: str, script: str | None, spaced: bool) -> None:
    assert script_of(text) == script
    assert is_spaced(text) is spaced


@pytest.mark.parametrize("text", ["in English", "IN ENGLISH", "En ESPAÑOL", "Tranſlate it"])
def test_a_wording_is_found_in_any_case(text: str) -> None:
    assert mentions_language(text)
    assert Wording("translate|english|español").is_in(text)
    assert not Wording("french").is_in(text)


@pytest.mark.parametrize(
    ("stemmed", "said", "is_there"),
    [
        ("compar", "compar", True),
        ("compar", "comparis", True),
        ("comparis", "compar", True),
        ("compar", "comput", False),
        ("cat", "cat", True),
        ("cat", "catalogu", False),
        ("catalogu", "cat", False),
        ("catal", "cata", False),
    ],
)
def test_a_stem_is_mentioned_by_one_that_begins_alike(
    stemmed: str, said: str, is_there: bool
) -> None:
    among = frozenset({said, "other", "x"})

    assert is_mentioned(stemmed, among, sorted(among)) is is_there
