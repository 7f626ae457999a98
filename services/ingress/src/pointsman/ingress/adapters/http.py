"""The HTTP API: chat completions, models, and health.

Owns the routes. What becomes of a chat request is in ``chat``, shapes are in ``openai_format``.
"""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pointsman.contracts.errors import ErrorCode
from pointsman.ingress.adapters import openai_format as fmt
from pointsman.ingress.adapters.chat import Chat
from pointsman.ingress.adapters.error_handlers import ERROR_HANDLERS
from pointsman.ingress.domain import AUTO, Refused, namespace_of, namespaces_by_key
from pointsman.ingress.handler import Deps
from pointsman.ingress.settings import Settings
from pointsman.routes.registry import ModelRegistry
from pointsman.runtime import Bus
from pointsman.runtime.health import health_routes
from pointsman.runtime.service import Problems


class Api:
    """The routes and what they need."""

    def __init__(
        self, *, settings: Settings, registry: ModelRegistry, bus: Bus, deps: Deps
    ) -> None:
        self._registry = registry
        self._namespaces = namespaces_by_key(
            {name: key.get_secret_value() for name, key in settings.api_keys.items()}
        )
        self._chat = Chat(
            settings=settings, registry=registry, bus=bus, deps=deps, namespaces=self._namespaces
        )

    def app(self, problems: Problems) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/v1/models", self.models),
                Route("/v1/models/{model:path}", self.model),
                *health_routes(problems),
            ],
            exception_handlers=ERROR_HANDLERS,
        )

    def stop(self) -> None:
        """Clients are about to be disconnected by us: what they asked for goes on without them."""
        self._chat.departures.stop()

    async def models(self, request: Request) -> Response:
        namespace_of(request.headers.get("authorization"), self._namespaces)
        return JSONResponse(fmt.model_list(self._registry, AUTO))

    async def model(self, request: Request) -> Response:
        namespace_of(request.headers.get("authorization"), self._namespaces)
        wanted = request.path_params["model"]
        for entry in fmt.model_list(self._registry, AUTO)["data"]:
            if entry["id"] == wanted:
                return JSONResponse(entry)
        raise Refused(ErrorCode.MODEL_NOT_FOUND, param="model")
