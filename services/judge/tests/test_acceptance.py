"""Where ``minScore`` 8 draws the line: ordinary whole answers pass, incomplete ones do not."""

from collections.abc import Callable

import pytest

from pointsman.contracts.messages import Judge
from pointsman.judge.adapters import RulesScorer

MIN_SCORE = 8.0

PASSWORD = (
    "Sign in and open Settings, then Security. Choose Change password and enter your current"
    " password once. Type the new one twice; it needs at least twelve characters. Save, and you"
    " will be signed out on your other devices. If you no longer know the current password, use"
    " the reset link on the sign-in page."
)

GOOD = {
    "password guide": ("Change my account password", PASSWORD),
    "password question": ("How do I change my account password?", PASSWORD),
    "one word": ("What is the capital of France?", "Paris."),
    "terse, two parts": ("What is the capital of France and what is its population?",
                         "Paris, about 2.1 million."),
    "yes or no": ("Is it safe to eat raw cookie dough?",
                  "Better not: raw flour and raw eggs can both carry bacteria."),
    "joke": ("Tell me a joke", "Why did the scarecrow win? He was outstanding in his field."),
    "three listed": (
        "List three benefits of walking to work",
        "- You move every day without planning it.\n- You save the fare.\n- You arrive awake.",
    ),
    "three in prose": (
        "Give me three tips for better sleep.",
        "Go to bed at the same time each day. Keep the bedroom cool and dark. Leave your phone"
        " in another room.",
    ),
    "two questions": (
        "What is a Kubernetes pod? How does it differ from a container?",
        "A pod is the smallest thing that Kubernetes schedules. A container is one process image;"
        " a pod wraps one or more of them so that they share a network address and storage.",
    ),
    "three asks in one sentence": (
        "Explain how DNS works, compare TCP with UDP, and recommend a monitoring tool for a small"
        " office.",
        "DNS turns names into addresses by asking a chain of servers.\n\nTCP delivers in order and"
        " resends what is lost; UDP does neither and is faster.\n\nFor monitoring a small office,"
        " Uptime Kuma is easy to run.",
    ),
    "numbered request": (
        "1. Summarise the causes of the French Revolution\n2. Describe its consequences for Europe",
        "Debt, hunger and privilege caused the French Revolution.\nIts consequences reached all of"
        " Europe: wars, new codes of law, and the end of many old orders.",
    ),
    "code": (
        "Write a Python function that reverses a string.",
        "```python\ndef reverse(text):\n    return text[::-1]\n```",
    ),
    "list data is no list of asks": (
        "Sort these alphabetically:\n- pear\n- apple\n- fig", "apple, fig, pear",
    ),
    "background is no ask": (
        "I have been with the bank for ten years and moved house in May. My card expires soon."
        " How do I order a new card?",
        "Open the app, choose Cards, then Replace card. The new card arrives within a week.",
    ),
    "general knowledge with numbers": (
        "When did the Berlin Wall fall?", "It fell on 9 November 1989, after 28 years.",
    ),
    "a remark is no refusal": (
        "What will the weather be like in Oslo in July?",
        "I don't have access to a forecast, but July in Oslo is usually mild: about 22 degrees by"
        " day, around 13 at night, with long evenings and a few showers each week. Pack a light"
        " jacket, and look at the local forecast a few days before you travel, because single"
        " weeks differ a lot from the average. Late July is the warmest part of the month, and"
        " the sea in the fjord is warm enough for a swim.",
    ),
    "another language was asked for": (
        "How do you say 'where is the station and how do I get to it' in German?",
        "Wo ist der Bahnhof und wie komme ich dorthin? Das ist die übliche Form.",
    ),
    "german both ways": (
        "Wie ändere ich das Passwort für mein Konto und was muss ich dabei beachten?",
        "Öffnen Sie die Einstellungen und wählen Sie Sicherheit. Das neue Passwort ist nicht"
        " kürzer als zwölf Zeichen, und Sie geben es zweimal ein.",
    ),
    "a url at the end": (
        "Where is the Python documentation?",
        "The documentation for all versions of Python is at https://docs.python.org/",
    ),
    "a table": (
        "Compare tea and coffee in a table.",
        "| | tea | coffee |\n|---|---|---|\n| caffeine | less | more |\n| taste | light | strong |",
    ),
}  # fmt: skip

BAD = {
    "empty": ("Change my account password", "", "empty"),
    "one of two questions": (
        "What is a Kubernetes pod? How does horizontal autoscaling choose replicas?",
        "A pod is the smallest thing that Kubernetes schedules; its containers share one address.",
        "parts",
    ),
    "one of three asks": (
        "Explain how DNS works, compare TCP with UDP, and recommend a monitoring tool.",
        "DNS turns names into addresses. A resolver asks the root servers, then the servers of"
        " the domain, and keeps the result for a while.",
        "parts",
    ),
    "second clause left out": (
        "List three benefits of exercise and explain how sleep affects memory.",
        "- Exercise strengthens the heart.\n- It lifts the mood.\n- It keeps joints moving.",
        "parts",
    ),
    "last numbered item left out": (
        "1. Describe our backup options\n2. Estimate the storage cost\n3. Draft a restore plan",
        "There are three backup options: snapshots, copies and archives. The storage cost is"
        " lowest for archives.",
        "parts",
    ),
    "inline numbers": (
        "Please (1) describe the outage, (2) name the customers affected and (3) propose a remedy.",
        "The outage began when a certificate expired.",
        "parts",
    ),
    "two instead of three": (
        "List three rivers in Germany", "- Rhine\n- Elbe", "count",
    ),
    "hangs in the air": (
        "How do I reset my router?",
        "Hold the small button on the back for ten seconds. When the lights blink, connect to the",
        "truncated",
    ),
    "open code block": (
        "Write a Python function that reverses a string.",
        "Here it is:\n```python\ndef reverse(text):\n    return text", "truncated",
    ),
    "flat refusal": (
        "Write a birthday greeting for my colleague",
        "I'm sorry, but I can't help with that.", "refusal",
    ),
    "does not know": (
        "Which port does PostgreSQL use?", "I don't know.", "refusal",
    ),
    "loop": (
        "Which option is right?", "The answer is option (C). " * 60, "repetition",
    ),
    "loop without sentences": (
        "Simplify the term", "10,000 = 10,000 times 1.04 to the power of 10 " * 40, "repetition",
    ),
    "prose for json": (
        "Return the result as JSON with the keys name and age.",
        "The name is Ada and the age is 36.", "json",
    ),
    "wrong language": (
        "How do I change the password of my account and what should I do with the old one?",
        "Öffnen Sie die Einstellungen und wählen Sie Sicherheit. Das neue Passwort ist nicht"
        " kürzer als zwölf Zeichen, und Sie geben es zweimal ein.", "language",
    ),
    "wrong script": (
        "How do I change the password of my account?",
        "Откройте настройки и выберите раздел безопасности.", "language",
    ),
    "made-up number": (
        "Context: The store opened in 1998 and has a staff of 45 people who serve the whole"
        " region, from the coast to the hills.\nHow large is the staff?",
        "The staff is 62 people.", "numbers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_an_ordinary_whole_answer_is_accepted(name: str, command: Callable[..., Judge]) -> None:
    question, answer = GOOD[name]

    score = RulesScorer().assess(command(question, answer))

    assert score.value >= MIN_SCORE, score.critique


@pytest.mark.parametrize("name", BAD)
def test_an_answer_a_reader_would_send_back_is_low_and_says_why(
    name: str, command: Callable[..., Judge]
) -> None:
    question, answer, check = BAD[name]

    score = RulesScorer().assess(command(question, answer))

    assert score.value < MIN_SCORE
    assert check in {found.name for found in score.checks if not found.passed}
    assert score.critique


def test_the_critique_names_the_parts_left_out(command: Callable[..., Judge]) -> None:
    question, answer, _ = BAD["one of three asks"]

    critique = RulesScorer().assess(command(question, answer)).critique

    assert "compare TCP with UDP" in critique
    assert "recommend a monitoring tool" in critique
    assert "DNS" not in critique


def test_missing_parts_cost_in_proportion(command: Callable[..., Judge]) -> None:
    question = "\n".join(
        f"{number}. Describe the {topic}"
        for number, topic in enumerate(("liver", "kidney", "spleen", "pancreas", "thyroid"), 1)
    )

    scores = [
        RulesScorer().assess(command(question, answer)).value
        for answer in (
            "The liver, kidney, spleen, pancreas and thyroid are organs that each have their work.",
            "The liver, kidney, spleen and pancreas are organs, each with work of its own to do.",
            "The liver, kidney and spleen are organs, and each of them has work of its own to do.",
        )
    ]

    assert scores == [10.0, 8.0, 6.0]
