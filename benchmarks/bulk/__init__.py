"""``map`` and ``amap``: what an item costs, and the memory that many of them take."""
