"""What comparing two routes over many recorded requests takes: a measurement, not a test.

    python -m libs.cli.tests.measure_route_diff --requests 100000

Six events a request, as the pipeline writes them; two targets, every tenth request moves.
"""

import random
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from click.testing import CliRunner

from pointsman.cli.main import main
from pointsman.contracts.messages import (
    Accepted,
    Classified,
    Completed,
    Event,
    Judged,
    SafetyChecked,
)
from pointsman.contracts.parts import AttemptSummary, Signals, Usage, Verdict
from pointsman.contracts.wire import redacted_json

from .recorded_values import (
    NEW,
    OLD,
    REGISTRY,
    classified,
    context,
    event,
    executed,
    signals,
    write,
)

SEED = 4
CONFIDENCE = {name: 0.5 for name in Signals.model_fields if name != "confidence"}


def request_events(rng: random.Random) -> Iterator[Event]:
    """The facts of one request that a model answered at the first attempt."""
    about = context()
    complexity = rng.random()
    model = "large" if complexity > 0.5 else "small"
    intent = "complex" if model == "large" else "simple"
    seen = signals(intent=intent, complexity=complexity, context_tokens=120, confidence=CONFIDENCE)
    routed = classified(about, seen, model, sticky_key=f"{rng.getrandbits(64):016x}")
    assert isinstance(routed.fact, Classified)
    estimates = {"small": Decimal("0.001"), "large": Decimal("0.002")}
    decision = routed.fact.decision.model_copy(update={"estimates_usd": estimates})
    tokens = (120, rng.randrange(20, 400))
    usage = Usage(model=model, input_tokens=tokens[0], output_tokens=tokens[1])
    attempt = AttemptSummary(attempt=1, model=model, status="succeeded", usage=usage)
    verdict = Verdict(label="accepted", score=9.0)
    done = Completed(
        request_id=about.request_id,
        model=model,
        decision=decision,
        finish_reason="stop",
        usage=usage,
        attempts=(attempt,),
    )
    yield event("ingress", about, Accepted(model="auto", messages=1))
    yield event("safety", about, SafetyChecked(is_blocked=False))
    yield event("classifier", about, routed.fact.model_copy(update={"decision": decision}))
    yield executed(about, model, tokens, seconds=complexity, decision=decision)
    yield event("judge", about, Judged(model="judge", verdict=verdict, usage=usage))
    yield event("judge", about, done)


def measure(folder: Path, requests: int) -> None:
    rng = random.Random(SEED)
    events = folder / "events.jsonl"
    with events.open("wb") as file:
        for _ in range(requests):
            file.writelines(redacted_json(each) + b"\n" for each in request_events(rng))
    arguments = [
        *("route", "diff"),
        str(write(folder, "old.yaml", OLD)),
        str(write(folder, "new.yaml", NEW)),
        *("--events", str(events)),
        *("--registry", str(write(folder, "models.yaml", REGISTRY))),
    ]
    began = time.process_time()
    result = CliRunner().invoke(main, arguments)
    took = time.process_time() - began
    print(result.output)
    size = events.stat().st_size / 1e6
    print(f"{requests:,} requests, {6 * requests:,} events, {size:.0f} MB: {took:.1f} s of CPU")


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    with tempfile.TemporaryDirectory() as temporary:
        measure(Path(temporary), parser.parse_args().requests)
