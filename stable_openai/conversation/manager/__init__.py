"""``ChatManager``: many messages at once, kept in sessions; and ``ChatSetup``, ``ChatMessage``, ``ChatResponse``."""
