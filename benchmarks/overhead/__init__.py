"""What a call costs that goes through the pool and succeeds at once."""
