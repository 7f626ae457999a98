"""Settings of the accounting service, read from the environment with the prefix ``ACCOUNTING_``."""

from datetime import timedelta

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from pointsman.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    model_config = ServiceSettings.model_config | SettingsConfigDict(env_prefix="ACCOUNTING_")

    database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL or SQLite URL; without it, a SQLite file in the state folder.",
    )
    batch_rows: int = Field(
        default=256,
        ge=1,
        le=1000,
        description="Rows at which a transaction takes no further message and is committed.",
    )
    write_timeout: timedelta = Field(
        default=timedelta(seconds=8),
        gt=timedelta(0),
        description="How long a message may wait for its commit before it goes back to the bus.",
    )
    lock_timeout: timedelta = Field(
        default=timedelta(seconds=5),
        gt=timedelta(0),
        description="How long one statement may wait for a lock or an unreachable database.",
    )

    def ledger_url(self) -> str:
        """Return where the ledger is: the given URL, or the file in the state folder."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.state_dir / 'ledger.sqlite'}"
