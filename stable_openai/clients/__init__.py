"""openai's clients over a pool: subclasses that take their place, and the clients that functions are given."""
