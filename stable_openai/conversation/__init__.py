"""Conversations: ``Chat``, ``GroupChat``, and ``ChatManager`` with its sessions."""
