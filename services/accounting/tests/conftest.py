"""The two databases every ledger test runs against: a SQLite file and a real PostgreSQL."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

# PostgreSQL refuses to run as root; the bundled programs then run as this user, who owns nothing.
_RUN_AS = "nobody" if os.geteuid() == 0 else None


def _programs() -> Path | None:
    """The folder of PostgreSQL's programs inside the pgserver wheel, without importing it.

    Its own start-up would add a system user when run as root.
    """
    found = importlib.util.find_spec("pgserver")
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent / "pginstall" / "bin"
    return folder if (folder / "initdb").exists() else None


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a server of our own, on a socket in a temporary folder."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed here (package pgserver has no programs)")
    folder = Path(tempfile.mkdtemp(prefix="pm-pg-"))
    if _RUN_AS:
        shutil.chown(folder, _RUN_AS)

    def call(program: str, *arguments: str) -> None:
        # Output goes to a file: a server that inherits a pipe keeps it open.
        with (folder.parent / f"{folder.name}.log").open("ab") as log:
            subprocess.run(
                [programs / program, "-D", folder / "data", *arguments],
                check=True,
                cwd=folder,
                user=_RUN_AS,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=60,
            )

    try:
        call("initdb", "-U", "postgres", "--auth=trust", "--encoding=utf8", "--no-sync")
        options = f"-c listen_addresses='' -c fsync=off -k {folder}"
        call("pg_ctl", "start", "-w", "-o", options, "-l", str(folder / "server.log"))
        try:
            yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
        finally:
            call("pg_ctl", "stop", "-w", "-m", "immediate")
    finally:
        shutil.rmtree(folder)
        (folder.parent / f"{folder.name}.log").unlink(missing_ok=True)


@pytest.fixture
def postgresql_url(postgresql: str) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"ledger_{uuid.uuid4().hex}"
    admin = create_engine(postgresql, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield postgresql.replace("/postgres?", f"/{name}?")
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url
