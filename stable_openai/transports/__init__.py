"""Failover beneath other HTTP libraries: transports for httpx and httpx2, an adapter and an auth for requests."""
