"""One ``send``: its prompts, its answers, and why there is none where there is none."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Final

from stable_openai.verdict import Reason, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .asking import Asker
    from .messages import ChatMessage
    from .responses import ChatResponse
    from .sessions import Booking

__all__ = ["Sending"]

logger: Final = logging.getLogger("stable_openai")


class Sending:
    """What is sent at once, and what came of it. ``answer`` is safe in threads.

    Args:
        asker: Who asks.
        messages: The prompts, which nobody else changes.
        booking: Their places in the session.

    Attributes:
        responses: The answers in the order of the prompts; None where there is none (yet).
        errors: Why there is none, by the prompt's index.
    """

    def __init__(self, asker: Asker, messages: Sequence[ChatMessage], booking: Booking) -> None:
        self._asker = asker
        self._messages = messages
        self._booking = booking
        self.responses: list[ChatResponse | None] = [None] * len(messages)
        self.errors: dict[int, Exception] = {}

    def answer(self, index: int) -> None:
        """Get the answer to one prompt, and keep it; or why there is none."""
        message = self._messages[index]
        try:
            response = self._asker.ask(message)
        except Exception as error:  # noqa: BLE001  # it is kept, and told
            self._booking.release()
            self._keep(index, error)
        except BaseException:
            self._booking.release()
            raise
        else:
            self._booking.put(index, (message, response))
            self.responses[index] = response

    def _keep(self, index: int, error: Exception) -> None:
        _forget_locals(error)
        self.errors[index] = error
        verdict = judge(error)
        reason = "" if verdict.reason is Reason.NOT_PROVIDER else f"{verdict.reason.value}: "
        logger.warning("message %d of %d got no answer: %s%s", index + 1, len(self._messages), reason, verdict.message)


def _forget_locals(error: BaseException) -> None:
    """Empty the frames of an exception that is kept: each holds its prompt and its request."""
    seen: set[int] = set()
    links: list[BaseException | None] = [error]
    while links:
        link = links.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            traceback.clear_frames(link.__traceback__)
            links += [link.__cause__, link.__context__]
