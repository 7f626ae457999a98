"""What each signal says of a request, without a model."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pointsman.classifier.adapters import read_heads
from pointsman.classifier.domain.extent import context_tokens, text_tokens
from pointsman.classifier.domain.languages import language
from pointsman.classifier.domain.reading import Reading, read
from pointsman.classifier.domain.signals import SIGNALS, read_signals, signals_of
from pointsman.classifier.domain.subjects import domain, topic
from pointsman.classifier.domain.waiting import criticality
from pointsman.classifier.settings import Settings
from pointsman.contracts.chat import ChatRequest
from pointsman.contracts.parts import Signals
from pointsman.scorers.intents import IntentReading
from pointsman.scorers.scorer_file import InvalidScorerFile

from .doubles import WordHashEmbedder, classify_command, known

CARD = IntentReading(
    topic="card_arrival", probability=0.9, domain="banking", domain_probability=0.98,
    in_scope=0.99, nearest=0.8, far=0.35,
)  # fmt: skip
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


def request(**fields: Any) -> ChatRequest:
    body = {"model": "auto", "messages": [{"role": "user", "content": "Where is my card?"}]}
    return ChatRequest.model_validate(body | fields)


async def reading(text: str = "Where is my card?", intent: IntentReading | None = CARD) -> Reading:
    vector = await WordHashEmbedder().embed(text)
    return replace(read(classify_command(text).request, text, vector, known()), intent=intent)


def test_every_field_of_the_contract_is_a_row() -> None:
    assert set(SIGNALS) == set(Signals.model_fields) - {"confidence"}


async def test_every_signal_has_a_confidence() -> None:
    signals = signals_of(await reading())
    assert set(signals.confidence) == set(SIGNALS)
    assert all(0 <= sure <= 1 for sure in signals.confidence.values())


async def test_without_scorers_their_signals_keep_their_defaults_and_are_not_sure() -> None:
    vector = await WordHashEmbedder().embed("hello there")
    signals = read_signals(request(), "hello there", vector, known())
    assert (signals.topic, signals.novelty, signals.gain, signals.ease) == ("", 0.0, 0.0, 0.5)
    assert [signals.confidence[name] for name in ("topic", "novelty", "gain", "ease")] == [0] * 4


async def test_an_image_without_words_is_read_from_the_request_alone() -> None:
    asked = request(messages=[{"role": "user", "content": [IMAGE]}], service_tier="flex")
    signals = read_signals(asked, "", await WordHashEmbedder().embed(""), known())
    assert (signals.modality, signals.criticality, signals.language) == ("image", "batch", "und")
    assert signals.context_tokens > 700
    assert signals.confidence["modality"] == 1.0
    assert signals.confidence["intent"] == 0.0


@pytest.mark.parametrize(
    ("intent", "expected"),
    [
        (CARD, ("card_arrival", "billing")),
        (replace(CARD, topic="change_pin"), ("change_pin", "account")),
        (replace(CARD, domain="travel", topic="book_flight"), ("book_flight", "travel")),
        (replace(CARD, domain="travel", topic="translate"), ("translate", "writing")),
        (replace(CARD, in_scope=0.3), ("", None)),
        (replace(CARD, in_scope=0.7), ("card_arrival", None)),
        (replace(CARD, domain="kitchen_and_dining", topic="recipe"), ("recipe", None)),
        (None, ("", None)),
    ],
)
async def test_the_head_names_a_topic_in_scope_and_a_domain_where_it_is_sure(
    intent: IntentReading | None, expected: tuple[str, str | None]
) -> None:
    found = await reading(intent=intent)
    by_sentences = domain(replace(found, intent=None))[0]
    assert topic(found)[0] == expected[0]
    assert domain(found)[0] == (expected[1] or by_sentences)


@pytest.mark.parametrize(
    ("change", "low", "high"),
    [
        ({"nearest": 0.8, "in_scope": 0.0}, 0.0, 0.01),
        ({"nearest": 0.35, "in_scope": 0.0}, 0.49, 0.51),
        ({"nearest": 0.1, "in_scope": 0.0}, 0.99, 1.0),
        # A topic of the head is known, however far from the middle of its kind.
        ({"nearest": 0.1, "in_scope": 1.0}, 0.0, 0.0),
    ],
)
async def test_a_text_is_novel_when_it_is_far_from_all_that_is_known(
    change: dict[str, float], low: float, high: float
) -> None:
    # The double's vectors share nothing with the sentences.
    found = await reading("zyx wvu", replace(CARD, **change))  # pyright: ignore[reportArgumentType]
    assert low <= found.novelty[0] <= high


async def test_a_sentence_that_is_known_is_not_novel() -> None:
    found = await reading("Change my account password", replace(CARD, nearest=0.1, in_scope=0.0))
    assert found.novelty[0] < 0.01


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("interactive", 0.5)),
        ({"stream": True}, ("interactive", 0.9)),
        ({"service_tier": "flex", "stream": True}, ("batch", 0.9)),
        ({"service_tier": "auto"}, ("interactive", 0.5)),
        ({"metadata": {"criticality": "Background "}}, ("background", 1.0)),
        ({"metadata": {"criticality": "tool"}, "service_tier": "priority"}, ("tool", 1.0)),
        ({"metadata": {"criticality": "purple"}}, ("interactive", 0.5)),
        ({"messages": [{"role": "tool", "content": "42", "tool_call_id": "a"}]}, ("tool", 0.9)),
    ],
)  # fmt: skip
def test_who_waits_is_what_the_caller_says_then_what_the_request_shows(
    fields: dict[str, Any], expected: tuple[str, float]
) -> None:
    assert criticality(request(**fields)) == expected


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("word" * 100, 88),
        ("1" * 100, 120),
        ("日本" * 50, 100),
        ("мир" * 100, 150),
        ("😀", 2),
    ],
)
def test_tokens_follow_the_rule_for_each_kind_of_letter(text: str, tokens: float) -> None:
    assert text_tokens(text) == pytest.approx(tokens)


def test_a_long_text_is_counted_from_its_ends() -> None:
    assert text_tokens("ab 1" * 100_000) == pytest.approx(100_000 * text_tokens("ab 1"), rel=0.01)


def test_a_lone_surrogate_counts_like_any_sign() -> None:
    assert text_tokens("\ud800") == pytest.approx(1.2)


def test_messages_images_and_tools_all_count() -> None:
    alone = context_tokens(request())
    tool = {"type": "function", "function": {"name": "look_up", "description": "word " * 50}}
    assert context_tokens(request(tools=[tool])) > alone + 50
    small = {"type": "image_url", "image_url": {"url": "x", "detail": "low"}}
    one = context_tokens(request(messages=[{"role": "user", "content": [small]}]))
    other = context_tokens(request(messages=[{"role": "user", "content": [IMAGE]}]))
    assert (one, other) == (89, 769)


# Written for this test: the language, and something a person may ask in it.
ASKED = (
    ("en", "Play some jazz"), ("en", "What is the capital of France?"),
    ("en", "Audit all cluster security logs"), ("de", "Wie spät ist es in Sydney?"),
    ("de", "Schreibe mir bitte eine kurze Mail"), ("fr", "Quelle heure est-il à Paris ?"),
    ("fr", "Je voudrais annuler mon abonnement"), ("es", "¿Cuál es la capital de Francia?"),
    ("es", "Necesito ayuda con mi cuenta"), ("it", "Che tempo fa domani a Roma?"),
    ("it", "Vorrei prenotare un tavolo per due"), ("pt", "Qual é a previsão do tempo para amanhã?"),
    ("pt", "Não consigo entrar na minha conta"), ("nl", "Hoe laat is het in Amsterdam?"),
    ("nl", "Ik wil graag mijn wachtwoord wijzigen"), ("pl", "Jaka jest stolica Niemiec?"),
    ("pl", "Nie mogę zalogować się na moje konto"), ("cs", "Jaké je hlavní město Francie?"),
    ("sv", "Vad är klockan?"), ("sv", "Jag vill byta lösenord"), ("da", "Hvad er klokken?"),
    ("no", "Hva er klokka?"), ("fi", "Mikä on Suomen pääkaupunki?"),
    ("hu", "Mi Magyarország fővárosa?"), ("ro", "Care este capitala Franței?"),
    ("tr", "Bugün hava nasıl?"), ("id", "Bagaimana cara membuat akun baru?"),
    ("vi", "Hôm nay thời tiết thế nào?"), ("ru", "Какая сегодня погода?"),
    ("uk", "Яка погода сьогодні?"), ("bg", "Какво е времето днес?"), ("zh", "今天天气怎么样？"),
    ("ja", "今日の天気は？"), ("ko", "오늘 날씨 어때?"), ("ar", "ما هي عاصمة فرنسا؟"),
    ("fa", "پایتخت فرانسه کجاست؟"), ("ur", "آج موسم کیسا ہے؟"), ("he", "מה השעה עכשיו?"),
    ("hi", "आज मौसम कैसा है?"), ("el", "Τι ώρα είναι;"), ("th", "วันนี้อากาศเป็นอย่างไร"),
)  # fmt: skip


def test_nearly_every_short_question_is_in_its_language() -> None:
    wrong = [(text, language(text)) for name, text in ASKED if language(text)[0] != name]
    assert len(wrong) <= 2, wrong


@pytest.mark.parametrize("text", ["", "x", "12345", "OK", "Hotel Berlin", "asdf qwer zxcv", "?!"])
def test_what_could_be_any_language_is_undetermined(text: str) -> None:
    assert language(text) == ("und", 0.0)


def test_a_longer_text_is_surer_than_a_short_one() -> None:
    short, long = (
        "Play some jazz",
        "Please play some jazz for me while I am cooking and tell me why",
    )
    assert language(long)[1] > language(short)[1]


def test_the_shipped_head_knows_its_topics_and_loads_at_once() -> None:
    head = read_heads(Settings().heads_dir).intents
    assert head is not None
    assert [len(one.topics) for one in head.sets] == [150, 77]
    vector = np.full(384, 384**-0.5, np.float32)
    assert head.read(vector, "hello").far == pytest.approx(0.35, abs=0.1)


def test_a_folder_without_scorers_has_none_and_a_broken_one_says_which(tmp_path: Any) -> None:
    assert read_heads(tmp_path).intents is None
    assert read_heads(tmp_path).gain is None
    (tmp_path / "gain.npz").write_bytes(b"broken")
    with pytest.raises(InvalidScorerFile, match=r"gain\.npz"):
        read_heads(tmp_path)
