"""`python -m pointsman.loadgen.bench`: one run, its table, and its JSON.

Exit status 0 when everybody was measured, whatever the verdicts; 1 when somebody could not be.
"""

import asyncio
import json
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import click

from pointsman.loadgen.bench.child import ChildFailed
from pointsman.loadgen.bench.machine import machine
from pointsman.loadgen.bench.plan import FULL, QUICK, SECTIONS, Plan
from pointsman.loadgen.bench.prompts import load_prompts
from pointsman.loadgen.bench.report import document, render
from pointsman.loadgen.bench.session import NotSetUp, Options, Outcome, run

WHO = ("direct", "litellm", "bare", "fused", "seven")


@click.command()
@click.option("--quick", is_flag=True, help="A short form that finishes in two minutes.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write it all as JSON.")
@click.option("--rounds", type=click.IntRange(1), help="Rounds, instead of the plan's.")
@click.option("--seconds", type=click.FloatRange(0.2), help="Length of a window.")
@click.option("--only", multiple=True, type=click.Choice(SECTIONS), help="These sections alone.")
@click.option("--who", multiple=True, type=click.Choice(WHO), help="These contenders alone.")
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data"))
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    default=Path(".state"),
    help="Has catalogue and embedder; runs and LiteLLM's environment go into bench in it.",
)
def main(
    quick: bool,
    json_path: Path | None,
    rounds: int | None,
    seconds: float | None,
    only: tuple[str, ...],
    who: tuple[str, ...],
    data: Path,
    state_dir: Path,
) -> None:
    """Measure Pointsman beside LiteLLM's proxy and bare nats-py, on this machine, in one run."""
    options = Options(
        plan=_plan(quick=quick, rounds=rounds, seconds=seconds),
        state_dir=state_dir / "bench",
        ready_made=state_dir,
        data=data,
        sections=frozenset(only or SECTIONS),
        who=frozenset(who or WHO),
        say=lambda line: click.echo(line, err=True),
    )
    facts = machine()
    begun = time.monotonic()
    try:
        outcome = asyncio.run(_until_told(options))
    except (NotSetUp, ChildFailed) as error:
        raise click.ClickException(str(error)) from error
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
    prompts = load_prompts(data)
    lengths = prompts.lengths()
    told = document(
        outcome,
        plan=options.plan,
        machine=facts,
        prompts={"source": prompts.name, "characters": lengths},
        seconds=time.monotonic() - begun,
    )
    if json_path is not None:
        json_path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    named = "  ".join(f"{name} {value:.0f}" for name, value in lengths.items())
    said = (f"Distinct prompts: {prompts.name}", f"  their length in characters: {named}")
    click.echo(render(outcome, plan=options.plan, machine=facts, prompts=said))
    sys.exit(1 if outcome.failures else 0)


def _plan(*, quick: bool, rounds: int | None, seconds: float | None) -> Plan:
    plan = QUICK if quick else FULL
    if rounds is not None:
        plan = replace(plan, rounds=rounds, growth_rounds=min(rounds, plan.growth_rounds))
    return plan if seconds is None else replace(plan, duration_s=seconds)


async def _until_told(options: Options) -> Outcome:
    """Run, and end every child when told to stop by SIGTERM; Ctrl-C is asyncio's own."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run(options)


if __name__ == "__main__":
    main()
