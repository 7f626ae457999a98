"""The adapter and a backend behind TLS."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pointsman.executor.adapters.openai_compatible import Bounds, open_models
from pointsman.executor.domain.failures import ModelFailed

from .raw import WHOLE, RawServer, a_call, read


def certificate(folder: Path) -> Path:
    """Write a key and a certificate for 127.0.0.1 that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "backend")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / "backend.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_a_backend_behind_tls_must_be_trusted(tmp_path: Path, is_trusted: bool) -> None:
    path = certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(path)
    server = RawServer(WHOLE, WHOLE)
    authorities = path if is_trusted else None
    async with (
        server.running(tls) as url,
        open_models(Bounds(), {}, authorities=authorities) as models,
    ):
        if is_trusted:
            assert (await read(models, a_call(url))).text == "Hi"
            assert (await read(models, a_call(url))).text == "Hi"
        else:
            with pytest.raises(ModelFailed, match="no connection"):
                await read(models, a_call(url))
    assert len(server.requests) == (2 if is_trusted else 0)
