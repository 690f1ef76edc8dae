-- Read everything. KEYS: pool, log, snapshot. Returns format, identity, seq, base, snapshot and the entries.
local head = redis.call('HMGET', KEYS[1], 'format', 'identity', 'seq', 'base')
head[5] = redis.call('GET', KEYS[3])
head[6] = redis.call('LRANGE', KEYS[2], 0, -1)
return head
