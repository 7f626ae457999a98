import pytest

from pointsman.loadgen.asks import content_words, parse


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("Change my account password", ["Change my account password"]),
        ("Audit all cluster security logs", ["Audit all cluster security logs"]),
        (
            "List three benefits of green tea, explain how to brew it, and tell me when not to"
            " drink it.",
            [
                "List three benefits of green tea",
                "explain how to brew it",
                "tell me when not to drink it.",
            ],
        ),
        ("What is inflation? Why does it matter?", ["What is inflation?", "Why does it matter?"]),
        ("My card is lost. What should I do?", ["What should I do?"]),
        ("Refugee crisis in Europe solutions", ["Refugee crisis in Europe solutions"]),
        ("Compare cats and dogs", ["Compare cats and dogs"]),
    ],
)
def test_request_is_taken_apart_into_its_asks(text: str, asks: list[str]) -> None:
    assert [ask.text for ask in parse(text).asks] == asks


def test_sentences_that_only_tell_are_context() -> None:
    assert parse("My card is lost. What should I do?").context == ("My card is lost.",)


@pytest.mark.parametrize(
    ("text", "kind", "count"),
    [
        ("List three benefits of green tea", "list", 3),
        ("Name 4 plants that need little light", "list", 4),
        ("Write a Python function that sorts a list", "code", None),
        ("Write a birthday wish", "write", None),
        ("Is it safe to drink tap water?", "yes_no", None),
        ("Can you tell me how to pay?", "explain", None),
        ("Please cancel my order", "action", None),
        ("Which one?\n(A) red\n(B) blue", "choice", None),
    ],
)
def test_kind_and_count_of_an_ask(text: str, kind: str, count: int | None) -> None:
    ask = parse(text).asks[0]
    assert (ask.kind, ask.count) == (kind, count)


def test_placeholder_stays_one_content_word() -> None:
    assert content_words("Call me at <PHONE_1> about [EMAIL_2]") == (
        "Call",
        "<PHONE_1>",
        "[EMAIL_2]",
    )
