"""The demo's cloud account: moto's server on a port, so that tool calls really run.

Owns the server's life; what the account holds is in ``cloud_estate``. Ids are seeded, times are
relative to the start. Nothing here reaches a real cloud: address and keys are the demo's own.
"""

import contextlib
import logging
import signal
import threading
import urllib.request
from collections.abc import Generator
from types import FrameType
from typing import Any

from pointsman.loadgen.cloud_estate import Clients, build_estate

DEFAULT_REGION = "us-east-1"
ID_SEED = 7
TIMEOUT_S = 20


@contextlib.contextmanager
def serving_cloud(
    *, port: int = 0, host: str = "127.0.0.1", region: str = DEFAULT_REGION
) -> Generator[str]:
    """Serve the seeded account while entered and yield its endpoint; port 0 takes a free one."""
    from moto.server import ThreadedMotoServer

    # Calls that moto does not know end in a traceback on stderr; the caller gets the 501 or 404.
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = ThreadedMotoServer(ip_address=host, port=port, verbose=False)
    server.start()
    try:
        bound_host, bound_port = server.get_host_and_port()
        endpoint = f"http://{bound_host}:{bound_port}"
        # moto keeps an account for the life of its process, not of its server.
        _control(endpoint, "reset")
        _control(endpoint, f"seed?a={ID_SEED}")
        build_estate(_clients(endpoint, region), region=region)
        yield endpoint
    finally:
        server.stop()


def serve_cloud(*, port: int, host: str, region: str) -> None:
    """Serve the account until SIGINT or SIGTERM; prints one line when ready."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    with serving_cloud(port=port, host=host, region=region) as endpoint:
        print(f"cloud ready at {endpoint} (moto, region {region})", flush=True)
        stopping.wait()


def _control(endpoint: str, order: str) -> None:
    request = urllib.request.Request(f"{endpoint}/moto-api/{order}", method="POST")
    with urllib.request.urlopen(request, timeout=TIMEOUT_S):
        pass


def _clients(endpoint: str, region: str) -> Clients:
    import botocore.session
    from botocore.config import Config

    session: Any = botocore.session.Session()
    config = Config(
        connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, retries={"max_attempts": 0}, proxies={}
    )

    def client(service: str) -> Any:
        return session.create_client(
            service,
            region_name=region,
            endpoint_url=endpoint,
            aws_access_key_id="demo",
            aws_secret_access_key="demo",
            config=config,
        )

    return client
