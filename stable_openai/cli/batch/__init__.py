"""``stable-openai batch``."""
