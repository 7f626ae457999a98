"""``pointsman route explain``: which model a request would get, and why.

Owns the command; the request is read in ``route_reading``, the account in ``route_account``.
"""

import asyncio
from pathlib import Path

import click

from pointsman.cli.options import registry_option, state_dir_option
from pointsman.cli.route_file import open_version
from pointsman.cli.route_request import chat_request, context_of, pairs
from pointsman.contracts.errors import Rejected, Retryable
from pointsman.contracts.messages import Classify
from pointsman.routes.asking import Asking
from pointsman.routes.explain import explain_for


@click.command("explain")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("prompt", required=False)
@click.option(
    "--file",
    "body",
    type=click.Path(path_type=Path),
    help="A whole Chat Completions body (JSON) in place of a prompt.",
)
@registry_option
@click.option("--namespace", default="default", show_default=True, help="The caller's namespace.")
@click.option(
    "--metadata", multiple=True, metavar="KEY=VALUE", callback=pairs, help="May be given again."
)
@click.option("--request-id", help="Draw weights as for this request. [default: a new one]")
@state_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of tables.")
def explain(
    file: Path,
    prompt: str | None,
    body: Path | None,
    registry: Path,
    namespace: str,
    metadata: list[tuple[str, str]],
    request_id: str | None,
    state_dir: Path,
    as_json: bool,
) -> None:
    """Say which model the route in FILE would choose for PROMPT (- reads it from standard input).

    Signals are the classifier's own. No model is called and nothing leaves this machine.
    """
    # Late: they load rich, numpy and safety's rules, which other commands can do without.
    from pointsman.cli.route_account import Account, print_account
    from pointsman.cli.route_reading import RouteFiles, classified, screened

    request = chat_request(prompt, body, metadata)
    context = context_of(namespace, request_id)
    version = open_version(file, registry)
    safety, masked = screened(request)
    command = Classify(context=context, request=masked, is_suspicious=safety.is_suspicious)
    files = RouteFiles(route=file, registry=registry, state_dir=state_dir)
    try:
        fact = asyncio.run(classified(command, version=version, files=files))
    except (Rejected, Retryable) as error:
        raise click.ClickException(str(error)) from error
    asking = Asking.again(
        fact.signals, fact.inputs, request_id=context.request_id, namespace=namespace
    )
    account = Account(
        route=version.route.route.name,
        revision=version.route.revision,
        request_id=context.request_id,
        safety=safety,
        explanation=explain_for(version.route, version.registry, asking),
    )
    if as_json:
        click.echo(account.as_json())
    else:
        print_account(account)
