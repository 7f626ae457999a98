"""Tools against a real local AWS mock, and without any backend."""

import asyncio
import json
from collections.abc import Generator

import pytest

from pointsman.executor.adapters.aws_tools import AwsEndpoint, open_tools

from .doubles import a_tool

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def endpoint() -> Generator[AwsEndpoint]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield AwsEndpoint(url=f"http://{host}:{port}", timeout_s=PATIENCE_S)
    finally:
        server.stop()


async def run(endpoint: AwsEndpoint | None, tool_id: str, **arguments: object) -> tuple[str, str]:
    async with open_tools(endpoint) as tools, asyncio.timeout(PATIENCE_S):
        output = await tools.run(a_tool(tool_id=tool_id), dict(arguments))
    return output.status, output.text


async def test_operations_are_really_called(endpoint: AwsEndpoint) -> None:
    await run(endpoint, "logs.CreateLogGroup", logGroupName="/app/audit")
    status, text = await run(endpoint, "logs.DescribeLogGroups", logGroupNamePrefix="/app")
    result = json.loads(text)
    assert status == "ok"
    assert [group["logGroupName"] for group in result["logGroups"]] == ["/app/audit"]
    assert "ResponseMetadata" not in result
    assert await run(endpoint, "eks.ListClusters") == ("ok", '{"clusters": []}')


async def test_dates_are_written_as_text(endpoint: AwsEndpoint) -> None:
    await run(endpoint, "iam.CreateUser", UserName="ada")
    status, text = await run(endpoint, "iam.GetUser", UserName="ada")
    assert status == "ok"
    assert "T" in json.loads(text)["User"]["CreateDate"]


@pytest.mark.parametrize(
    ("tool_id", "arguments", "code"),
    [
        ("eks.DescribeCluster", {"name": "none"}, "ResourceNotFoundException"),
        ("eks.DescribeCluster", {}, "ParamValidationError"),
        ("eks.MakeCoffee", {}, "UnknownOperation"),
        ("eks.close", {}, "UnknownOperation"),
        ("eks", {}, "UnknownOperation"),
        ("teapot.Brew", {}, "UnknownServiceError"),
    ],
)
async def test_a_failed_call_gives_its_code_alone(
    endpoint: AwsEndpoint, tool_id: str, arguments: dict[str, object], code: str
) -> None:
    assert await run(endpoint, tool_id, **arguments) == ("error", code)


async def test_an_endpoint_that_is_down_is_an_error() -> None:
    endpoint = AwsEndpoint(url="http://127.0.0.1:9", timeout_s=1.0)
    assert await run(endpoint, "eks.ListClusters") == ("error", "EndpointConnectionError")


async def test_every_tool_is_refused_without_a_backend() -> None:
    assert await run(None, "eks.ListClusters") == ("refused", "no tool backend configured")
