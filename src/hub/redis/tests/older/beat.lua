-- Renews the lease of this server, and removes the entries of servers whose lease is over.
--
-- KEYS: leases, the loss of this server
-- ARGV: prefix, server, milliseconds of a lease, 1 if the server stops, else 0, number of the beat,
--       number of the last loss that the server knows of
-- Returns the number of the beat that has found the lease of this server to be over, 0 if it was
--       kept; and 1 if nothing is left to be removed, else 0
local leases, loss = KEYS[1], KEYS[2]
local prefix, server, lease, stops = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local own = tonumber(redis.call('ZSCORE', leases, server) or 0)

-- If nobody has renewed a lease for long, Redis was away or its clock has jumped: nobody is to
-- blame. All leases are moved by that time before any is judged.
local newest = redis.call('ZREVRANGE', leases, 0, 0, 'WITHSCORES')
if newest[2] then
  local gap = now - (tonumber(newest[2]) - lease)
  if gap > 10000 or gap < -1000 then
    local all = redis.call('ZRANGE', leases, 0, -1, 'WITHSCORES')
    for i = 1, #all, 2 do redis.call('ZADD', leases, tonumber(all[i + 1]) + gap, all[i]) end
    if own > 0 then own = own + gap end
  end
end
-- Before anything is removed: if Redis refuses this (memory), nobody is judged.
redis.call('ZADD', leases, now + lease, server)
-- The answer to this beat may be lost, and the next one finds a lease. So a loss is noted, until
-- the server shows that it knows.
local lost = redis.call('GET', loss)
if own <= now then
  lost = ARGV[5]
  redis.call('SET', loss, lost, 'PX', 3600000)
elseif lost == ARGV[6] then
  lost = false
  redis.call('DEL', loss)
end

local over = redis.call('ZRANGEBYSCORE', leases, '-inf', now)
if stops then over[#over + 1] = server end
local budget = 1000                        -- rooms that are cleaned in one call
for _, other in ipairs(over) do
  local theirs = prefix .. ':server:' .. other
  local rooms = redis.call('HKEYS', theirs)
  for _, room in ipairs(rooms) do
    budget = budget - 1
    if budget < 0 then break end
    local roster = prefix .. ':{' .. room .. '}:w'
    local all, gone = redis.call('HGETALL', roster), {}
    for i = 1, #all, 2 do
      if string.sub(all[i + 1], 1, 16) == other then
        redis.call('HDEL', roster, all[i])
        gone[#gone + 1] = 'l' .. #all[i] .. ':' .. all[i]
      end
    end
    if #gone > 0 then
      redis.call('PUBLISH', prefix .. ':{' .. room .. '}', 'p1' .. table.concat(gone))
    end
    redis.call('HDEL', theirs, room)
  end
  if budget < 0 then break end
  redis.call('ZREM', leases, other)
end
if stops then redis.call('DEL', loss) end
return {tonumber(lost or 0), budget < 0 and 0 or 1}
