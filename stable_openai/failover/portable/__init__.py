"""Provider's exceptions that reach another process as themselves: with all that they tell, and without a secret."""

from .classes import make_portable, meet_openai

__all__ = ["make_portable", "meet_openai"]
