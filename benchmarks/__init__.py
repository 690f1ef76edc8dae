"""The benchmarks: what the pool costs, what it gets out of the keys, and what importing it takes. See README.md."""
