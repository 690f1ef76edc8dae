-- Begin a journal, unless there is a whole one. A server that evicts keys may have left a part of one.
-- KEYS: pool, log, snapshot. ARGV: identity, format, snapshot.
local call = redis.call
local head = call('HMGET', KEYS[1], 'identity', 'seq', 'format')
local snapshot = call('GET', KEYS[3])
local first = call('LINDEX', KEYS[2], 0)
if head[3] and head[3] ~= ARGV[2] then return 0 end
if head[1] and snapshot and (first or head[2] == '0') then return 0 end
call('LTRIM', KEYS[2], 1, 0)
call('HSET', KEYS[1], 'identity', ARGV[1], 'base', '0', 'seq', '0', 'format', ARGV[2])
call('SET', KEYS[3], ARGV[3])
return 1
