"""What the classifier needs from outside: an embedding model and the route in force."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pointsman.routes.source import RouteRevision

Array = NDArray[np.float32]

DIMENSIONS = 384


class Embedder(Protocol):
    """Turns text into a vector. Same text, same vector."""

    @property
    def model(self) -> str:
        """The name of the model that embeds."""
        ...

    @property
    def problem(self) -> str | None:
        """Why nothing can be embedded at once; None when it can."""
        ...

    async def embed(self, text: str) -> Array:
        """Return the vector of ``text``, shape (384,), float32, L2-normalised.

        Raises: Retryable if the model cannot be used now.
        """
        ...


class RouteSource(Protocol):
    """The route in force. Never waits; a bad file leaves the last good route."""

    @property
    def current(self) -> RouteRevision: ...

    @property
    def problem(self) -> str | None:
        """Why the newest text is not in force; None when it is."""
        ...
