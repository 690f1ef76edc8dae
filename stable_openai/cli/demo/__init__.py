"""``stable-openai demo``: a crawl with the real client, over real HTTP, through six keys of which two are no good."""
