"""The JSON Schema of every message, as one document.

Owns the list of what counts as a message: each wire class of ``contracts.messages``. Prose (titles,
descriptions) is left out, so that a better docstring is no change of the wire.
``python tests/contract/message_schemas.py [FILE]`` prints it or writes FILE.
"""

import json
import sys
from pathlib import Path
from typing import Any, cast

from pydantic.json_schema import models_json_schema

from pointsman.contracts import messages
from pointsman.contracts.wire import Wire

_PROSE = ("title", "description")


def message_types() -> tuple[type[Wire], ...]:
    """Every class that ``messages`` itself defines, in the order of the file."""
    return tuple(
        found
        for found in vars(messages).values()
        if isinstance(found, type)
        and issubclass(found, Wire)
        and found.__module__ == messages.__name__
    )


def document() -> dict[str, Any]:
    """Return ``{"messages": [names], "$defs": {name: schema}}``."""
    types = message_types()
    _, schema = models_json_schema([(found, "validation") for found in types])
    return {"messages": [found.__name__ for found in types], "$defs": _shape(schema["$defs"])}


def _shape(node: object) -> Any:
    """``node`` without prose. A field that happens to be called ``title`` is a dict and stays."""
    if isinstance(node, dict):
        items = cast("dict[str, object]", node).items()
        return {
            key: _shape(value)
            for key, value in items
            if not (key in _PROSE and isinstance(value, str))
        }
    if isinstance(node, list):
        return [_shape(item) for item in cast("list[object]", node)]
    return node


def render() -> str:
    return json.dumps(document(), indent=2, sort_keys=True) + "\n"


def main() -> None:
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(render(), encoding="utf-8")
    else:
        sys.stdout.write(render())


if __name__ == "__main__":
    main()
