"""What can go wrong, in two families.

    Exception
    └── DeliveryError            crosses a handler's edge
        ├── Retryable            may succeed later: nak with backoff
        └── Rejected             can never succeed: dead letter

``ErrorCode`` is what a client may see. Business outcomes (blocked, low score) are facts.
"""

from dataclasses import dataclass
from enum import StrEnum


class DeliveryError(Exception):
    """The base of what a handler raises on purpose. ``reason`` is for operators only."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Retryable(DeliveryError):
    """A dependency is down or slow; the same command may succeed later."""

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Rejected(DeliveryError):
    """This message can never succeed: it is malformed or contradicts itself."""


class ErrorCode(StrEnum):
    INVALID_REQUEST = "invalid_request"
    INVALID_API_KEY = "invalid_api_key"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    MODEL_NOT_FOUND = "model_not_found"
    NO_ELIGIBLE_MODEL = "no_eligible_model"
    REQUEST_TIMEOUT = "request_timeout"
    REQUEST_TOO_LARGE = "request_too_large"
    TOO_MANY_MESSAGES = "too_many_messages"
    QUEUE_FULL = "queue_full"
    CONTENT_FILTER = "content_filter"
    CANCELLED = "cancelled"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_RATE_LIMITED = "upstream_rate_limited"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    JUDGE_FAILED = "judge_failed"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    STREAM_INTERRUPTED = "stream_interrupted"
    UNAVAILABLE = "unavailable"
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, kw_only=True)
class ErrorSpec:
    """How a code looks over HTTP: status, OpenAI error type, and the sentence a client reads."""

    status: int
    type: str
    message: str


ERRORS: dict[ErrorCode, ErrorSpec] = {
    code: ErrorSpec(status=status, type=type_, message=message)
    for code, status, type_, message in (
        (ErrorCode.INVALID_REQUEST, 400, "invalid_request_error", "The request is not valid."),
        (ErrorCode.INVALID_API_KEY, 401, "authentication_error", "The API key is not valid."),
        (ErrorCode.NOT_FOUND, 404, "invalid_request_error", "There is nothing at this path."),
        (
            ErrorCode.METHOD_NOT_ALLOWED,
            405,
            "invalid_request_error",
            "This path does not answer that method.",
        ),
        (ErrorCode.MODEL_NOT_FOUND, 404, "invalid_request_error", "The model does not exist."),
        (
            ErrorCode.NO_ELIGIBLE_MODEL,
            403,
            "invalid_request_error",
            "No model meets the regions and compliance that the route asks for.",
        ),
        (ErrorCode.REQUEST_TIMEOUT, 408, "invalid_request_error", "The body took too long."),
        (ErrorCode.REQUEST_TOO_LARGE, 413, "invalid_request_error", "The request is too large."),
        (ErrorCode.TOO_MANY_MESSAGES, 400, "invalid_request_error", "Too many messages."),
        (ErrorCode.QUEUE_FULL, 429, "rate_limit_error", "The queue is full; try again later."),
        (
            ErrorCode.CONTENT_FILTER,
            400,
            "invalid_request_error",
            "The request was blocked by a safety policy.",
        ),
        (ErrorCode.CANCELLED, 499, "invalid_request_error", "The request was cancelled."),
        (ErrorCode.UPSTREAM_ERROR, 502, "api_error", "No model could answer."),
        (ErrorCode.UPSTREAM_RATE_LIMITED, 429, "rate_limit_error", "Every model is rate limited."),
        (ErrorCode.UPSTREAM_TIMEOUT, 504, "api_error", "The model did not answer in time."),
        (ErrorCode.JUDGE_FAILED, 502, "api_error", "The answer could not be judged."),
        (ErrorCode.DEADLINE_EXCEEDED, 504, "api_error", "The request's deadline has passed."),
        (ErrorCode.STREAM_INTERRUPTED, 502, "api_error", "The stream was interrupted."),
        (ErrorCode.UNAVAILABLE, 503, "api_error", "The service is unavailable; try again."),
        (ErrorCode.INTERNAL_ERROR, 500, "api_error", "The request could not be processed."),
    )
}
