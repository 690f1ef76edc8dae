"""A journal in Redis or Valkey."""
