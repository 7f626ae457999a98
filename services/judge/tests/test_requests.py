"""How a request falls into parts."""

import pytest

from pointsman.judge.domain.requests import parts_of


@pytest.mark.parametrize(
    ("request_text", "expected"),
    [
        ("Change my account password", ["Change my account password"]),
        ("What is DNS? How does caching work?", ["What is DNS?", "How does caching work?"]),
        (
            "Compare nginx and Envoy, then estimate the effort, and also draft a rollback plan.",
            ["Compare nginx and Envoy", "estimate the effort", "draft a rollback plan."],
        ),
        (
            "Could you please check the invoice and then cancel the subscription?",
            ["Could you please check the invoice", "cancel the subscription?"],
        ),
        ("I'd like to update my address and close the old card.",
         ["I'd like to update my address and close the old card."]),
        ("Explain supply and demand.", ["Explain supply and demand."]),
        ("Compare and contrast frogs and toads.", ["contrast frogs and toads."]),
        (
            "Please (1) describe the outage, (2) name the customers and (3) propose a remedy.",
            ["describe the outage", "name the customers and", "propose a remedy."],
        ),
        (
            "Write a report that covers:\n- revenue by region\n- churn\n- hiring plans",
            ["revenue by region", "churn", "hiring plans"],
        ),
        ("Sort these fruits:\n- pear\n- apple", ["Sort these fruits:"]),
        (
            "Mr. Smith lives in Oslo. Where does Mr. Jones live?", ["Where does Mr. Jones live?"],
        ),
        ("Describe otters. Keep it short. Use plain words.", ["Describe otters."]),
        ("Translate this into French: the cat sleeps and explain nothing.", []),
        ("How do you say 'where is the station and how do I get to it' in German?",
         ["How do you say   in German?"]),
        ("Just saying hello.", []),
        ("什么是容器？它和虚拟机有什么区别？", []),
    ],
)  # fmt: skip
def test_parts(request_text: str, expected: list[str]) -> None:
    assert [part.text for part in parts_of(request_text)] == expected
