"""The service as it is put together, and the addresses it refuses."""

from pathlib import Path
from typing import cast

import pytest
from pydantic import SecretStr

from pointsman.accounting.adapters.report import open_ledger
from pointsman.accounting.adapters.tables import UnusableLedger
from pointsman.accounting.app import build
from pointsman.accounting.settings import Settings
from pointsman.runtime.bus import Bus

NO_BUS = cast("Bus", object())  # accounting asks nothing of the bus


async def test_service_opens_its_ledger_in_the_state_folder(tmp_path: Path) -> None:
    service = build(Settings(state_dir=tmp_path / "state"))

    async with service.resources(NO_BUS) as deps:
        assert service.problems is not None
        assert service.problems(deps) == {}

    assert (tmp_path / "state" / "ledger.sqlite").exists()
    assert service.name == "accounting"


def test_database_url_comes_from_the_environment_and_stays_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ACCOUNTING_DATABASE_URL", "postgresql://u:hidden@db/ledger")
    settings = Settings()

    assert settings.ledger_url() == "postgresql://u:hidden@db/ledger"
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hidden@db/ledger",
        "not a url: hidden",
        "postgresql://u:hidden@/ledger?host=/nowhere/at/all",
    ],
)
async def test_an_unusable_database_is_named_without_its_password(url: str, tmp_path: Path) -> None:
    service = build(Settings(state_dir=tmp_path, database_url=SecretStr(url)))

    with pytest.raises(UnusableLedger) as raised:
        async with service.resources(NO_BUS):
            pass

    assert "hidden" not in str(raised.value)


def test_a_report_on_no_ledger_says_so_and_makes_none(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"

    with pytest.raises(UnusableLedger, match="nothing was recorded"):
        open_ledger(f"sqlite:///{path}")

    assert not path.exists()
