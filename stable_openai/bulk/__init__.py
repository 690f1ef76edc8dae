"""Many items through one function, at the full rate of the keys: ``map``, ``amap``, checkpoints and reports."""
