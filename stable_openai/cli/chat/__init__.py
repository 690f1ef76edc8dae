"""Conversations in the terminal: ``stable-openai chat`` and ``stable-openai newchat``."""
