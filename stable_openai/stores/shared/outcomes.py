"""What is asked and what is answered, as plain values: requests for a key, and how attempts ended."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stable_openai.stores.lanes import Kind, Standing
from stable_openai.stores.protocol import Ask, Change, Effect, Outcome, Rejection
from stable_openai.verdict import ObservedLimit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stable_openai.keys import Key

__all__ = [
    "REJECTION", "STATED", "SUCCESS", "ask_of", "effect_of", "named", "outcome_of", "pack_ask", "pack_effect",
    "pack_outcome",
]  # fmt: skip

SUCCESS = Outcome(success=True)
REJECTION, STATED = 4, 5  # places in a packed outcome: the limit that has rejected it, and the limits that it states


def pack_ask(ask: Ask, names: Mapping[str, str]) -> list[Any]:
    """A request; ``names`` tells the fingerprints of the names that the pool gives to its keys."""
    if not (ask.avoid or ask.shun or ask.prefer) and ask.only is None:
        return [ask.model, ask.tokens, ask.call]
    avoid = sorted(names[name] for name in ask.avoid if name in names)
    shun = sorted(names[name] for name in ask.shun if name in names)
    packed = [ask.model, ask.tokens, ask.call, avoid, shun, None if ask.prefer is None else names.get(ask.prefer)]
    return packed if ask.only is None else [*packed, sorted(names[name] for name in ask.only if name in names)]


def ask_of(packed: Sequence[Any]) -> Ask:
    """A request that was packed."""
    if len(packed) == 3:  # noqa: PLR2004  # nothing special, as most are
        return Ask(packed[0], packed[1], call=packed[2])
    model, tokens, call, avoid, shun, prefer, *few = packed
    only = frozenset(few[0]) if few else None
    return Ask(model, tokens, frozenset(avoid), frozenset(shun), prefer, call=call, only=only)


def pack_outcome(outcome: Outcome) -> list[Any]:
    """How an attempt ended, in a list that is empty for a mere success."""
    if outcome.success and outcome == SUCCESS:
        return []
    rejection = outcome.rejection
    return [
        outcome.success,
        outcome.unused,
        outcome.tokens,
        None if outcome.effect is None else pack_effect(outcome.effect),
        None if rejection is None else [rejection.what, rejection.long, rejection.wait_s, rejection.stated],
        [_pack_observed(limit) for limit in outcome.observed],
        outcome.owner,
        outcome.alike,
    ]


def outcome_of(packed: Sequence[Any]) -> Outcome:
    """An outcome that was packed."""
    if not packed:
        return SUCCESS
    success, unused, tokens, effect, rejection, observed, owner, alike = packed
    return Outcome(
        success,
        unused,
        tokens,
        None if effect is None else effect_of(effect),
        None if rejection is None else Rejection(*rejection),
        tuple(ObservedLimit(*limit) for limit in observed),
        owner,
        alike,
    )


def pack_effect(effect: Effect) -> list[Any]:
    """What an answer does to a lane."""
    standing = effect.standing.value
    return [
        effect.kind.value, standing, effect.seconds, effect.reason, effect.note, effect.plain, effect.long,
    ]  # fmt: skip


def effect_of(packed: Sequence[Any]) -> Effect:
    """An effect that was packed."""
    kind, standing, *rest = packed
    return Effect(Kind(kind), Standing(standing), *rest)


def _pack_observed(limit: ObservedLimit) -> list[Any]:
    return [getattr(limit, name) for name in ObservedLimit.__dataclass_fields__]


def named(changes: list[Change], keys: Mapping[str, tuple[Key, str]]) -> list[Change]:
    """The same changes with the names that this process gives to its keys: by fingerprint, each key and its name."""
    return [replace(change, key=keys[change.key][1]) for change in changes if change.key in keys]
