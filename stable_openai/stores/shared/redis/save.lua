-- Keep a snapshot, and drop the entries before the last one in it.
-- KEYS: pool, log, snapshot. ARGV: identity, number of that entry, snapshot, number and text of the last entry known:
-- where that is not in the log, the snapshot is of a history that a fail-over has undone.
local call = redis.call
local head = call('HMGET', KEYS[1], 'identity', 'base', 'seq')
if head[1] ~= ARGV[1] or tonumber(ARGV[2]) <= tonumber(head[3]) then return 0 end
if call('LINDEX', KEYS[2], ARGV[4] - head[2] - 1) ~= ARGV[5] then return 0 end
call('SET', KEYS[3], ARGV[3])
call('LTRIM', KEYS[2], ARGV[2] - head[2] - 1, -1)
call('HSET', KEYS[1], 'base', ARGV[2] - 1, 'seq', ARGV[2])
return 1
