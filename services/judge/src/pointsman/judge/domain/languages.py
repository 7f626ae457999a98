"""Which script and language a text is in, when it is easy to tell; None when it is not."""

import unicodedata
from collections import Counter

from pointsman.judge.domain.text import Wording, clipped, letters_of, vocabulary, words

_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "THAI", "HANGUL", "CJK",
            "HIRAGANA", "KATAKANA")  # fmt: skip
_SAME = {"HIRAGANA": "CJK", "KATAKANA": "CJK"}
_FEWEST_LETTERS = 20

_COMMON = {
    "en": vocabulary(
        "the and of to in is that it for you with are this on be as not have what how"
    ),
    "de": vocabulary("der die das und ist nicht ein eine zu den mit auf für sie wie was ich im"),
    "fr": vocabulary("le la les des et est une un que dans pour pas sur vous qui avec au du sont"),
    "es": vocabulary("el la los las y es una un que en para no con por se su como del más"),
    "it": vocabulary("il lo gli le e è una un che di per non con si come della sono nel più"),
    "pt": vocabulary("o os as e é uma um que em para não com por se como do da mais são"),
    "nl": vocabulary("de het een en is niet van dat op te voor met zijn aan ook wat hoe je"),
}
_FEWEST_HITS = 4

_NAMES_LANGUAGE = Wording(
    r"translat|language|\b(?:english|german|french|spanish|italian|portuguese|dutch|russian|chinese"
    r"|mandarin|japanese|korean|arabic|hebrew|hindi|greek|latin|turkish|polish|swedish|thai"
    r"|vietnamese|urdu|bengali|ukrainian|deutsch|français|español|italiano)\b"
)


def mentions_language(text: str) -> bool:
    """Whether a text speaks of languages, so that a change of language may be wanted."""
    return _NAMES_LANGUAGE.is_in(text)


def script_of(text: str) -> str | None:
    """Return the script of most letters; None for a short or mixed text."""
    ascii_letters, others = letters_of(clipped(text, 1_000))
    counts = Counter({"LATIN": ascii_letters})
    for char in others:
        name = unicodedata.name(char, "").split(" ", 1)[0]
        counts[_SAME.get(name, name)] += 1
    total = counts.total()
    if total < _FEWEST_LETTERS:
        return None
    script, most = counts.most_common(1)[0]
    return script if script in _SCRIPTS and most / total > 0.7 else None


def language_of(text: str) -> str | None:
    """Return the language whose common words stand out; None when none clearly does."""
    said = frozenset(words(clipped(text, 4_000)))
    hits = sorted(
        ((len(common & said), name) for name, common in _COMMON.items()),
        reverse=True,
    )
    (most, name), (second, _) = hits[0], hits[1]
    return name if most >= _FEWEST_HITS and most >= 2 * second else None
