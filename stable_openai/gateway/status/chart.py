"""Requests of each minute, as a small picture with words beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stable_openai.bulk.page.scales import outline
from stable_openai.bulk.spelling import spell_number

from .minutes import KEPT

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["chart_of"]

_HEIGHT: Final = 60


def chart_of(counts: Sequence[int]) -> str:
    """The minutes as columns, now at the right; before the first one there was nothing to be seen.

    The minute that runs is drawn, and left out of what is said of whole minutes.
    """
    drawn = [0] * (KEPT - len(counts)) + list(counts)
    whole = list(counts[:-1])
    most = max(counts)
    last = f"{spell_number(whole[-1])} in the last whole minute, " if whole else ""
    told = f"{last}{spell_number(counts[-1])} in the one that runs; at most {spell_number(most)} in a minute."
    if not most:
        told = "None yet."
    picture = (
        f'<svg class="chart" viewBox="0 0 {KEPT} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-labelledby="chart-t"><title id="chart-t">Requests per minute. {told}</title>'
        f'<path class="base" d="M0 {_HEIGHT}H{KEPT}"/><path class="bars" d="{outline(drawn, most, _HEIGHT)}"/></svg>'
    )
    scale = '<p class="scale" aria-hidden="true"><span>60 min ago</span><span>30 min ago</span><span>now</span></p>'
    return f"{picture}{scale}<p>{told}</p>"
