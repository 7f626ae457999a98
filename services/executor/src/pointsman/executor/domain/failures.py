"""How a call to a backend fails, and which failure means what for the request.

Owns ``ModelFailed`` and the table of HTTP statuses. Never crosses the handler: it becomes a fact.
"""

from http import HTTPStatus

from pointsman.contracts.errors import ErrorCode

_OUR_FAULT = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})
"""The request itself is wrong, so another model would refuse it too."""


class ModelFailed(Exception):
    """A call to a backend gave no whole answer.

    ``is_retryable`` says that another model, or the same one later, may succeed.
    ``was_processed`` says that the backend may have worked, and charged, before it failed.
    ``reason`` is for operators and holds no text of the backend.
    """

    def __init__(
        self, code: ErrorCode, reason: str, *, is_retryable: bool = True, was_processed: bool = True
    ) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason
        self.is_retryable = is_retryable
        self.was_processed = was_processed


def failure_of_status(status: int, *, was_processed: bool = False) -> ModelFailed:
    """Return the failure that an HTTP status of a backend stands for.

    A key that one backend refuses (401, 403) or a model it does not serve (404) says nothing of
    the next model, so only a faulty request is final.
    """
    match status:
        case HTTPStatus.TOO_MANY_REQUESTS:
            code = ErrorCode.UPSTREAM_RATE_LIMITED
        case HTTPStatus.REQUEST_TIMEOUT | HTTPStatus.GATEWAY_TIMEOUT:
            code = ErrorCode.UPSTREAM_TIMEOUT
        case _:
            code = ErrorCode.UPSTREAM_ERROR
    return ModelFailed(
        code,
        f"status {status}",
        is_retryable=status not in _OUR_FAULT,
        was_processed=was_processed,
    )
