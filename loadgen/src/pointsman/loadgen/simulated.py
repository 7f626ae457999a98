"""The models' server: simulated and replayed models behind OpenAI's API.

Owns the routes and which model answers a request. How an answer leaves is in ``reply``, what is
said in ``completion`` and ``replay``. Every response says ``x-simulated: true``, a recorded one
``x-replayed: true`` as well; the answers themselves do not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from pointsman.contracts.chat import ChatRequest
from pointsman.loadgen import openai_wire
from pointsman.loadgen.completion import Turn, take_turn
from pointsman.loadgen.faults import Desk, Fault
from pointsman.loadgen.profiles import PROFILES, Profile
from pointsman.loadgen.recordings import Recordings
from pointsman.loadgen.replay import RecordingNotFound, ReplayedModel, replay, replayed_models
from pointsman.loadgen.reply import HEADERS, REPLAYED, Pace, Reply


class FaultOrder(BaseModel):
    """The body of ``POST /control/faults``. ``count`` 0 clears the model's plan."""

    model_config = ConfigDict(extra="forbid")

    model: str = "*"
    mode: Fault
    count: int = Field(default=1, ge=0, le=100_000)


class UnknownModel(LookupError):
    """Nobody here answers under this name."""


@dataclass(frozen=True, kw_only=True)
class Models:
    """What the server serves: simulated and recorded models by name, the pace and the desk.

    A model that is both is replayed; ``simulates_rest`` lets its profile answer what was not
    recorded of it.
    """

    profiles: Mapping[str, Profile]
    speed: float
    seed: int
    recordings: Recordings | None = None
    simulates_rest: bool = False
    desk: Desk = field(default_factory=Desk)

    @cached_property
    def replayed(self) -> Mapping[str, ReplayedModel]:
        return replayed_models(self.recordings) if self.recordings else {}

    @cached_property
    def simulated(self) -> Mapping[str, Profile]:
        """The profiles that may answer."""
        return {
            name: profile
            for name, profile in self.profiles.items()
            if self.simulates_rest or name not in self.replayed
        }

    def answer(self, request: ChatRequest) -> tuple[Pace, Turn]:
        """Return who answers and with what.

        Raises: UnknownModel; RecordingNotFound where only recordings may answer.
        """
        profile = self.simulated.get(request.model)
        recorded = self.replayed.get(request.model)
        if self.recordings is not None and recorded is not None:
            try:
                return recorded, replay(request, self.recordings, model=request.model)
            except RecordingNotFound:
                if profile is None:
                    raise
        if profile is None:
            raise UnknownModel(request.model)
        return profile, take_turn(request, profile, seed=self.seed)


def build(
    *,
    profiles: Mapping[str, Profile] = PROFILES,
    speed: float = 1.0,
    seed: int = 0,
    recordings: Recordings | None = None,
    simulates_rest: bool = False,
) -> Starlette:
    """Return the ASGI application. ``speed`` divides every wait; token counts stay the same."""
    models = Models(
        profiles=profiles,
        speed=speed,
        seed=seed,
        recordings=recordings,
        simulates_rest=simulates_rest,
    )

    async def list_models(_: Request) -> Response:
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "pointsman-loadgen"}
            for name in dict.fromkeys((*models.simulated, *models.replayed))
        ]
        return JSONResponse({"object": "list", "data": data}, headers=HEADERS)

    async def show_profiles(_: Request) -> Response:
        declared = {
            "speed": speed,
            "seed": seed,
            "profiles": [profile.as_json() for profile in models.simulated.values()],
            "replayed": [recorded.as_json() for recorded in models.replayed.values()],
        }
        return JSONResponse(declared, headers=HEADERS)

    async def show_stats(_: Request) -> Response:
        return JSONResponse(models.desk.as_json(), headers=HEADERS)

    async def order_faults(request: Request) -> Response:
        try:
            order = FaultOrder.model_validate_json(await request.body())
        except ValidationError as error:
            return _refusal(400, str(error.errors()[0]["msg"]))
        models.desk.plan(order.model, order.mode, order.count)
        return JSONResponse(models.desk.as_json(), headers=HEADERS)

    async def reset(_: Request) -> Response:
        models.desk.reset()
        return JSONResponse(models.desk.as_json(), headers=HEADERS)

    return Starlette(
        routes=[
            Route("/v1/models", list_models),
            Route("/v1/chat/completions", ChatCompletions(models), methods=["POST"]),
            Route("/profiles", show_profiles),
            Route("/control/stats", show_stats),
            Route("/control/faults", order_faults, methods=["POST"]),
            Route("/control/reset", reset, methods=["POST"]),
        ]
    )


class ChatCompletions:
    """``POST /v1/chat/completions`` as bare ASGI: it must notice a client that leaves."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = Request(scope, receive)
        reply = await self._reply(http, scope, receive, send)
        if isinstance(reply, Response):
            await reply(scope, receive, send)
            return
        figures = reply.figures
        figures.begin()
        if reply.fault is not None:
            figures.count_fault(reply.fault)
        try:
            is_whole = await reply.played()
            figures.completed += is_whole
            figures.cancelled += not is_whole
        finally:
            figures.active -= 1

    async def _reply(
        self, http: Request, scope: Scope, receive: Receive, send: Send
    ) -> Reply | Response:
        """The answer to a request, or the refusal of one that cannot have any."""
        try:
            request = ChatRequest.model_validate_json(await http.body())
            pace, turn = self._models.answer(request)
            fault = self._fault(http, pace)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            return _refusal(400, f"{where}: {first['msg']}")
        except UnknownModel as error:
            return _refusal(404, f"The model {error.args[0]!r} does not exist.")
        except RecordingNotFound as error:
            said = f"No answer of {error.model!r} to this prompt was recorded."
            return _refusal(404, said, code="recording_not_found", headers=REPLAYED)
        except ValueError:
            return _refusal(400, "x-fault: unknown fault")
        options = request.stream_options
        return Reply(
            turn=turn,
            pace=pace,
            speed=self._models.speed,
            is_streamed=request.stream,
            include_usage=options is not None and options.include_usage,
            fault=fault,
            figures=self._models.desk.of(pace.model),
            scope=scope,
            receive=receive,
            send=send,
        )

    def _fault(self, http: Request, pace: Pace) -> Fault | None:
        ordered = http.headers.get("x-fault")
        return Fault(ordered) if ordered else self._models.desk.take(pace.model)


def _refusal(
    status: int, message: str, *, code: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    body = openai_wire.error(message, kind="invalid_request_error", code=code)
    return JSONResponse(body, status_code=status, headers={**HEADERS, **(headers or {})})
