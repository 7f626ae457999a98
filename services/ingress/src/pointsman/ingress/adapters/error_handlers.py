"""What the HTTP API answers when it does not answer: refusals, unknown paths, bugs."""

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import HTTPExceptionHandler

from pointsman.contracts.errors import ERRORS, ErrorCode
from pointsman.ingress.adapters import openai_format as fmt
from pointsman.ingress.domain import Refused

log = structlog.get_logger()


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, Refused):
        raise error
    body = fmt.error_body(
        error.code, request_id=error.request_id, detail=error.detail, param=error.param
    )
    headers = {} if error.request_id is None else {"x-request-id": error.request_id}
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after.total_seconds())))
    return JSONResponse(body, status_code=ERRORS[error.code].status, headers=headers)


async def _not_found(_: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    return JSONResponse(fmt.error_body(ErrorCode.NOT_FOUND, request_id=None), status_code=404)


async def _method_not_allowed(_: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    body = fmt.error_body(ErrorCode.METHOD_NOT_ALLOWED, request_id=None)
    return JSONResponse(body, status_code=405)


async def _internal_error(_: Request, error: Exception) -> Response:
    log.error("http.failed", error=type(error).__name__, exc_info=error)
    return JSONResponse(fmt.error_body(ErrorCode.INTERNAL_ERROR, request_id=None), status_code=500)


ERROR_HANDLERS: dict[int | type[Exception], HTTPExceptionHandler] = {
    Refused: _refused,
    404: _not_found,
    405: _method_not_allowed,
    Exception: _internal_error,
}
