"""The handler: one command in, one fact out."""

from dataclasses import replace

import numpy as np
import pytest

from pointsman.classifier.domain.ports import DIMENSIONS
from pointsman.classifier.handler import Deps, classify
from pointsman.contracts.errors import ErrorCode, Rejected

from .doubles import ROUTE, FixedRoute, WordHashEmbedder, classify_command, known, registry

TOOLS = [{"type": "function", "function": {"name": "mine"}}]


@pytest.fixture
def deps() -> Deps:
    return Deps(
        embedder=WordHashEmbedder(),
        known=known(),
        route=FixedRoute(),
        registry=registry(),
    )


async def test_a_simple_request_goes_to_the_small_model(deps: Deps) -> None:
    fact = await classify(classify_command("Change my account password"), deps=deps)
    assert fact.signals.intent == "simple"
    assert (fact.decision.target, fact.decision.model) == ("llama-3-8b", "small")
    assert fact.decision.revision == deps.route.current.revision
    assert not fact.decision.use_tools


async def test_a_complex_request_that_needs_tools_gets_both(deps: Deps) -> None:
    text = "Search the security logs for signs of lateral movement and list the affected hosts"
    fact = await classify(classify_command(text), deps=deps)
    assert fact.decision.model == "large"
    assert fact.decision.use_tools


@pytest.mark.parametrize("extra", [{"tools": TOOLS}, {"tool_choice": "none"}])
async def test_a_client_that_owns_its_tools_gets_none_of_ours(
    deps: Deps, extra: dict[str, object]
) -> None:
    command = classify_command("List the users who have access keys")
    assert (await classify(command, deps=deps)).decision.use_tools
    owned = command.model_copy(
        update={"request": command.request.model_validate(command.request.model_dump() | extra)}
    )
    assert not (await classify(owned, deps=deps)).decision.use_tools


async def test_the_request_is_embedded_once_and_its_vector_travels(deps: Deps) -> None:
    embedder = WordHashEmbedder()
    fact = await classify(
        classify_command("Change my account password"),
        deps=Deps(
            embedder=embedder,
            known=deps.known,
            route=deps.route,
            registry=deps.registry,
        ),
    )
    assert embedder.embedded == ["Change my account password"]
    vector = np.frombuffer(fact.vector, dtype="<f4")
    assert vector.shape == (DIMENSIONS,)
    assert float(np.linalg.norm(vector)) == pytest.approx(1, abs=1e-5)


async def test_a_second_delivery_gives_the_same_fact(deps: Deps) -> None:
    command = classify_command("Audit all cluster security logs")
    assert await classify(command, deps=deps) == await classify(command, deps=deps)


async def test_a_named_model_is_kept(deps: Deps) -> None:
    command = classify_command("Prove that there are infinitely many primes", model="small")
    fact = await classify(command, deps=deps)
    assert fact.decision.model == "small"
    assert fact.decision.escalations == ()


async def test_a_model_nobody_registered_can_never_succeed(deps: Deps) -> None:
    with pytest.raises(Rejected, match="'gone'"):
        await classify(classify_command("Hello", model="gone"), deps=deps)


async def test_a_suspicious_request_says_so(deps: Deps) -> None:
    fact = await classify(classify_command("Hello", suspicious=True), deps=deps)
    assert fact.signals.safety == "suspicious"


async def test_data_that_may_go_nowhere_goes_nowhere(deps: Deps) -> None:
    europe = ROUTE.replace(
        "condition: intent == simple}", "condition: intent == simple, constraints: {regions: [eu]}}"
    )
    refusing = replace(deps, route=FixedRoute(europe))
    fact = await classify(classify_command("Change my account password"), deps=refusing)
    assert fact.refused is ErrorCode.NO_ELIGIBLE_MODEL
    assert {(left.model, left.reason) for left in fact.decision.excluded} == {
        ("small", "region"),
        ("large", "region"),
    }


async def test_what_was_decided_from_is_kept_so_that_it_can_be_decided_again(deps: Deps) -> None:
    named = ROUTE.replace("intent == simple", "intent == simple and metadata.team != 'x'")
    naming = replace(deps, route=FixedRoute(named))
    command = classify_command("Change my account password")
    metadata = {"team": "billing", "secret": "s3cr3t"}
    asked = command.request.model_copy(update={"metadata": metadata})
    fact = await classify(command.model_copy(update={"request": asked}), deps=naming)
    assert fact.inputs.metadata == {"team": "billing"}
