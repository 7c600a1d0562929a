-- Reads the logs of many rooms. Where there is none, one begins.
--
-- KEYS: the top of each room
-- ARGV: tag of an empty log, milliseconds until a top is forgotten, version that the server can
--       read, bytes of entries after which the other logs are left to another call; then of each
--       room: end | all | number of a position, and the tag of that position or ''
-- Returns one letter for each room, and behind it what the letters announce, in their order:
--       =   the position that was asked for is the end
--       f   number and tag at the end, the entries that were asked for
--       n   number and tag at the end: what was asked for does not lead there
--       v   the same: a newer release has written the log
--       l   left to another call
--       x   the error
local root, forget, reads, budget = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local letters, answer = {}, {''}

local function entries(letter, n, t, found)
  letters[#letters + 1] = letter
  answer[#answer + 1] = n
  answer[#answer + 1] = t
  if found then answer[#answer + 1] = found end
end

local function range(log, first)
  local found = redis.call('LRANGE', log, first, -1)
  for _, entry in ipairs(found) do budget = budget - #entry - 16 end
  return found
end

local function read(top, from, tag)
  local have = redis.call('HMGET', top, 'n', 't', 'v')
  local n, t = have[1], have[2]
  local log = string.sub(top, 1, -2) .. 'l'
  if not n then
    n, t = '0', root
    redis.call('HSET', top, 'n', n, 't', t)  -- first, since Redis may refuse it (memory)
    redis.call('DEL', log)
  end
  -- Never sooner than a publish has set it: that one knows how long messages are kept.
  -- Nor each time: that would be a write for each room that is only looked at.
  if redis.call('PTTL', top) < forget / 16 * 15 then redis.call('PEXPIRE', top, forget) end
  if n == from and t == tag then
    letters[#letters + 1] = '='
  elseif from == 'end' then
    entries('f', n, t, {})
  elseif have[3] and tonumber(have[3]) > reads then
    entries('v', n, t)
  elseif from == 'all' then
    entries('f', n, t, range(log, 0))
  else
    local missing = tonumber(n) - tonumber(from)
    -- One entry before all: a position that is made up must not copy the log.
    local first = missing > 0 and redis.call('LINDEX', log, -missing)
    if first and string.sub(first, 1, 8) == tag then
      entries('f', n, t, range(log, -missing))
    else
      entries('n', n, t)
    end
  end
end

for i, top in ipairs(KEYS) do
  if budget <= 0 then
    letters[#letters + 1] = 'l'
  else
    local is_read, failed = pcall(read, top, ARGV[3 + 2 * i], ARGV[4 + 2 * i])
    if not is_read then
      -- What concerns one room must not fail the others: a key of another type, a log that cannot
      -- begin for want of memory.
      local text = type(failed) == 'table' and failed.err or tostring(failed)
      if not string.find(text, 'WRONGTYPE') and not string.find(text, 'OOM') then
        error(failed, 0)
      end
      letters[#letters + 1] = 'x'
      answer[#answer + 1] = text
    end
  end
end
answer[1] = table.concat(letters)
return answer
