"""Several roles in one conversation, played by a model."""

from .dialogs import Dialog, MalformedAnswer
from .group import GroupChat

__all__ = ["Dialog", "GroupChat", "MalformedAnswer"]
