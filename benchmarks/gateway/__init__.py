"""What a gateway costs: ours and LiteLLM's proxy before one trivial provider."""
