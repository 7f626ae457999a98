"""Settings of the judge, read from the environment. What is judged, and how, is the route's."""

from pydantic_settings import SettingsConfigDict

from pointsman.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    model_config = ServiceSettings.model_config | SettingsConfigDict(env_prefix="JUDGE_")
