-- Reads the log of a room. If there is none, one begins.
--
-- KEYS: top, log
-- ARGV: tag of an empty log, milliseconds until the top is forgotten, end | all | after; number
--       and tag of a position
-- Returns the number and the tag at the end; 1 if what follows is what was asked for, else 0;
--       the entries
local top, log = KEYS[1], KEYS[2]
local root, forget, want = ARGV[1], ARGV[2], ARGV[3]

local have = redis.call('HMGET', top, 'n', 't')
local n, t = have[1], have[2]
if not n then
  n, t = '0', root
  redis.call('HSET', top, 'n', n, 't', t)  -- first, since Redis may refuse it (memory)
  redis.call('DEL', log)
end
-- Never sooner than a publish has set it: that one knows how long messages are kept.
if redis.call('PTTL', top) < tonumber(forget) then redis.call('PEXPIRE', top, forget) end
if want == 'end' then return {n, t, 1, {}} end
if want == 'all' then return {n, t, 1, redis.call('LRANGE', log, 0, -1)} end
local missing = tonumber(n) - tonumber(ARGV[4])
if missing == 0 and t == ARGV[5] then return {n, t, 1, {}} end
if missing > 0 then
  -- One entry before all: a position that is made up must not copy the log.
  local first = redis.call('LINDEX', log, -missing)
  if first and string.sub(first, 1, 8) == ARGV[5] then
    return {n, t, 1, redis.call('LRANGE', log, -missing, -1)}
  end
end
return {n, t, 0, {}}
