"""How the values of a route file behave: frozen, camelCase in the file, no unknown field."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class StrictValue(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )
