"""A critic behind TLS."""

import asyncio
import json
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pointsman.contracts.messages import Judge

from .critic_backend import (
    completion,
)
from .critic_running import (
    ANSWERED,
    CRITIC,
    GOOD,
    QUESTION,
    a_critic,
    failure,
    within,
)

MakeCommand = Callable[..., Judge]


@pytest.fixture
def made(command: MakeCommand) -> Judge:
    return within(command(QUESTION, ANSWERED), 30)


def certificate(folder: Path) -> Path:
    """Write a key and a certificate for 127.0.0.1 that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "backend")])
    address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "backend.pem"
    path.write_bytes(plain + signed.public_bytes(pem))
    return path


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_a_backend_behind_tls_must_be_trusted(
    made: Judge, tmp_path: Path, is_trusted: bool
) -> None:
    path = certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(path)
    body = completion(json.dumps(GOOD))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        writer.write(head + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        if is_trusted:
            async with a_critic(url, authorities=path) as critic:
                assert (await critic.review(made, model=CRITIC)).review.score == 9
        else:
            assert (await failure(url, made)).reason == "no connection"
