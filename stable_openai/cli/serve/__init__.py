"""``stable-openai serve``."""
