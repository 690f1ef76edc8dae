"""What a crawl at the limit gets out of the keys, and what it loses."""
