"""A model as critic: puts a review to a model of the registry and reads what it replies.

Owns the order of calls: one repair of an unreadable reply, both orders of a pair, nothing past the
deadline. Prompts and rubrics are the domain's, the calls themselves are in ``critic_calls``.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from pydantic import SecretStr

from pointsman.contracts.messages import Judge
from pointsman.contracts.parts import Candidate
from pointsman.judge.adapters.critic_calls import CriticBounds, CriticCalls, NoReply, Sitting
from pointsman.judge.domain.critic_prompt import (
    MAX_PROMPT_TOKENS,
    Prompt,
    answer_prompt,
    pair_prompt,
    plan_prompt,
    repaired,
)
from pointsman.judge.domain.critic_reply import (
    Unreadable,
    read_preference,
    read_review,
    settled,
)
from pointsman.judge.domain.rubric import (
    ANSWER,
    PLAN,
    UNFITTED,
    Calibration,
    Compared,
    CriticFailed,
    Preference,
    Reviewed,
    Rubric,
)
from pointsman.routes.registry import Model, ModelRegistry, UnknownModel

MARGIN_S: Final = 1.0
"""Left of the deadline for what follows a judgement."""

T = TypeVar("T")


@asynccontextmanager
async def open_critic(
    registry: ModelRegistry,
    keys: Mapping[str, SecretStr],
    bounds: CriticBounds | None = None,
    *,
    now: Callable[[], datetime],
    calibration: Calibration = UNFITTED,
    authorities: Path | None = None,
) -> AsyncGenerator["ModelCritic"]:
    """Hold what reviews need; connections are opened with the first, and closed at the end.

    ``keys`` are by model id. ``authorities`` is the file of those that a backend's certificate may
    be signed by; without it, the public ones.
    """
    async with AsyncExitStack() as stack:
        calls = CriticCalls(stack, keys, bounds or CriticBounds(), authorities)
        yield ModelCritic(registry, calls, now=now, calibration=calibration)


class ModelCritic:
    """Reviews answers, plans and pairs with the models of a registry."""

    def __init__(
        self,
        registry: ModelRegistry,
        calls: CriticCalls,
        *,
        now: Callable[[], datetime],
        calibration: Calibration,
    ) -> None:
        self._registry = registry
        self._calls = calls
        self._now = now
        self._calibration = calibration

    async def review(self, command: Judge, *, model: str) -> Reviewed:
        """Review the command's answer with this model, a registry id or alias.

        Raises: CriticFailed, with what was paid; never a made-up score.
        """
        return await self._reviewed(ANSWER, answer_prompt, command, model)

    async def review_plan(self, command: Judge, *, model: str) -> Reviewed:
        """Review the tool calls of the command's answer, before they are made.

        Raises: CriticFailed.
        """
        return await self._reviewed(PLAN, plan_prompt, command, model)

    async def compare(self, command: Judge, other: Candidate, *, model: str) -> Compared:
        """Ask twice which answer is better, the command's (first) or ``other``, in both orders.

        Raises: CriticFailed if one of the two cannot be had.
        """
        sitting = self._sitting(command, model)
        room = self._room(sitting.model)
        prompts = [
            pair_prompt(command, other, is_swapped=is_swapped, most_tokens=room)
            for is_swapped in (False, True)
        ]

        async def ask(is_swapped: bool) -> tuple[Preference, str]:
            return await self._ask(
                sitting,
                prompts[is_swapped],
                lambda text: read_preference(text, is_swapped=is_swapped),
            )

        reason, sides = "", list[asyncio.Task[tuple[Preference, str]]]()
        try:
            async with asyncio.TaskGroup() as both:
                sides = [both.create_task(ask(is_swapped)) for is_swapped in (False, True)]
        except* NoReply as failures:
            reason = str(failures.exceptions[0])
        if reason:
            raise CriticFailed(reason, usage=sitting.usage)
        forward, backward = (side.result() for side in sides)
        return Compared(
            comparison=settled(forward, backward),
            usage=sitting.usage,
            clipped=prompts[0].clipped,
        )

    async def _reviewed(
        self, rubric: Rubric, ask_about: Callable[..., Prompt], command: Judge, model: str
    ) -> Reviewed:
        sitting = self._sitting(command, model)
        prompt = ask_about(command, most_tokens=self._room(sitting.model))
        try:
            review = await self._ask(
                sitting, prompt, lambda text: read_review(rubric, text, self._calibration)
            )
        except NoReply as failure:
            raise CriticFailed(failure.reason, usage=sitting.usage) from failure
        return Reviewed(review=review, usage=sitting.usage, clipped=prompt.clipped)

    def _sitting(self, command: Judge, model: str) -> Sitting:
        try:
            known = self._registry.resolve(model)
        except UnknownModel as error:
            raise CriticFailed("the critic is not in the registry") from error
        left_s = (command.context.deadline - self._now()).total_seconds() - MARGIN_S
        if left_s <= 0:
            raise CriticFailed("no time left")
        return Sitting(model=known, ends_at=asyncio.get_running_loop().time() + left_s)

    def _room(self, model: Model) -> int:
        """Tokens that a prompt may take: two replies must fit beside it, should one be repaired."""
        replies = 2 * self._calls.bounds.max_output_tokens
        return min(MAX_PROMPT_TOKENS, model.context_window - replies)

    async def _ask(self, sitting: Sitting, prompt: Prompt, read: Callable[[str], T]) -> T:
        """Return what the critic said, which it may say a second time.

        Raises: NoReply.
        """
        text = await self._calls.reply(sitting, prompt)
        try:
            return read(text)
        except Unreadable as unread:
            again = repaired(prompt, text, unread.problem)
        try:
            return read(await self._calls.reply(sitting, again))
        except Unreadable as unread:
            raise NoReply("no readable review") from unread
