"""The part of the OpenAI Chat Completions format that travels through the pipeline.

Owns request and answer shapes as clients and model servers spell them. Fields we do not know are
ignored; fields we know must have the right type, or the client gets a 400 with the field's path.
Source: OpenAI API reference, Chat Completions.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictInt

from pointsman.contracts.wire import Content, Wire

JsonObject = dict[str, Any]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class TextPart(Wire):
    type: Literal["text"]
    text: str


class RefusalPart(Wire):
    type: Literal["refusal"]
    refusal: str


class ImageUrl(Wire):
    url: str
    detail: str | None = None


class ImagePart(Wire):
    type: Literal["image_url"]
    image_url: ImageUrl


ContentPart = Annotated[TextPart | RefusalPart | ImagePart, Field(discriminator="type")]


class FunctionCall(Wire):
    """A call as the model wrote it; ``arguments`` is JSON text and may be malformed."""

    name: str
    arguments: str


class ToolCall(Wire):
    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class Message(Wire):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | tuple[ContentPart, ...] | None = None
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """The words of this message; images contribute nothing."""
        if self.content is None:
            return ""
        if isinstance(self.content, str):
            return self.content
        words = (
            part.text
            if isinstance(part, TextPart)
            else part.refusal
            if isinstance(part, RefusalPart)
            else ""
            for part in self.content
        )
        return "\n".join(word for word in words if word)


class FunctionDefinition(Wire):
    name: str = Field(min_length=1, max_length=64)
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class ToolDefinition(Wire):
    """A tool as the model sees it: the Chat Completions ``tools`` entry."""

    type: Literal["function"] = "function"
    function: FunctionDefinition


MetadataValue = Annotated[str, Field(max_length=512)]


class StreamOptions(Wire):
    include_usage: StrictBool = False


class ChatRequest(Wire):
    """A client's request. ``model`` is ``auto`` (route it) or a registry id or alias."""

    model: str = Field(min_length=1, max_length=256)
    messages: tuple[Message, ...] = Field(min_length=1)
    stream: StrictBool = False
    stream_options: StreamOptions | None = None
    tools: tuple[ToolDefinition, ...] | None = None
    tool_choice: str | JsonObject | None = None
    parallel_tool_calls: StrictBool | None = None
    response_format: JsonObject | None = None
    max_tokens: int | None = Field(default=None, ge=1, strict=True)
    max_completion_tokens: int | None = Field(default=None, ge=1, strict=True)
    temperature: float | None = Field(default=None, ge=0, le=2, strict=True)
    top_p: float | None = Field(default=None, ge=0, le=1, strict=True)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2, strict=True)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2, strict=True)
    stop: str | tuple[str, ...] | None = None
    seed: StrictInt | None = None
    n: Literal[1] | None = None
    reasoning_effort: str | None = None
    user: str | None = None
    metadata: Annotated[dict[str, MetadataValue], Field(max_length=16)] | None = None
    service_tier: str | None = Field(default=None, max_length=64)
    prompt_cache_key: str | None = Field(default=None, max_length=512)

    @property
    def conversation_id(self) -> str | None:
        """What the caller says its conversation is, so that it stays with one model."""
        return (self.metadata or {}).get("conversation_id") or self.prompt_cache_key

    @property
    def last_user_text(self) -> str:
        """What the user asked last; empty when no user message holds words."""
        for message in reversed(self.messages):
            if message.role == "user":
                return message.text
        return ""


class Answer(Wire):
    """What a model returned for one attempt."""

    text: Content[str] = ""
    tool_calls: Content[tuple[ToolCall, ...]] = ()
    finish_reason: FinishReason = "stop"
