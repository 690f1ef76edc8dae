"""What a client per call costs a crawl, and what shared connections and injected clients make of it."""
