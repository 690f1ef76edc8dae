-- Add entries behind the one that the caller knows as the last, and return what came in between.
-- KEYS: pool, log. ARGV: identity; number and text of the entry known as the last ('0' and '' where there was none);
-- '' or '<the moment> <channel> <words>' where it is not the server's, or somebody is to be woken; and the new texts.
-- Returns nil when the caller is outdated; else the moment, or a list of it and the entries that were missed.
local call = redis.call
local head = call('HMGET', KEYS[1], 'identity', 'base')
if head[1] ~= ARGV[1] then return false end
local from = ARGV[2] - head[2] - 1
if ARGV[2] == '0' then from = from + 1 end
if from < 0 then return false end
local found = call('LRANGE', KEYS[2], from, -1)
if ARGV[2] == '0' then
  table.insert(found, 1, '')
elseif found[1] ~= ARGV[3] then
  return false
end
local at, channel, words = '', '', ''
if ARGV[4] ~= '' then at, channel, words = string.match(ARGV[4], '(%S*) (%S*) (%S*)') end
if at == '' then
  local now = call('TIME')
  at = now[1] .. '.' .. string.sub('00000' .. now[2], -6)
end
if channel ~= '' then call('PUBLISH', channel, words) end -- first, as it is what may not be allowed
for i = 5, #ARGV do call('RPUSH', KEYS[2], at .. ' ' .. ARGV[i]) end
if #found == 1 then return at end
found[1] = at
return found
