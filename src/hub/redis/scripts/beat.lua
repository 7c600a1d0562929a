-- Renews the lease of this server, and removes the entries of servers whose lease is over.
--
-- KEYS: leases, the loss of this server
-- ARGV: prefix, server, milliseconds of a lease, 1 if the server stops, else 0, number of the beat,
--       number of the last loss that the server knows of, version that the server writes
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
-- Before anything is removed: if Redis refuses this (memory), no lease is ended.
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

-- An earlier scan of what this server had is of no use for what it has now.
redis.call('DEL', prefix .. ':scan:' .. server)

-- Removes the entries that a server has in a room, from a place of the scan on. Returns the place
-- that the scan has reached: '0' at the end.
local budget = 2000                        -- entries that are looked at in one call
local function clean(other, room, place)
  local roster = prefix .. ':{' .. room .. '}:w'
  local gone = {}
  repeat
    local scanned = redis.call('HSCAN', roster, place, 'COUNT', 100)
    local all = scanned[2]
    place = scanned[1]
    budget = budget - #all / 2 - 1
    for i = 1, #all, 2 do
      if string.sub(all[i + 1], 1, 16) == other then
        redis.call('HDEL', roster, all[i])
        gone[#gone + 1] = 'l' .. #all[i] .. ':' .. all[i]
      end
    end
  until place == '0' or budget <= 0
  if #gone > 0 then
    redis.call('PUBLISH', prefix .. ':{' .. room .. '}', 'p' .. ARGV[7] .. table.concat(gone))
  end
  return place
end

local over = redis.call('ZRANGEBYSCORE', leases, '-inf', now)
if stops then over[#over + 1] = server end
for _, other in ipairs(over) do
  local theirs, scan = prefix .. ':server:' .. other, prefix .. ':scan:' .. other
  -- Where an earlier call has stopped: the place of its scan, and the room.
  local place, room = string.match(redis.call('GET', scan) or '', '^(%d+) (.*)$')
  while budget > 0 do
    if not room then
      room, place = redis.call('HRANDFIELD', theirs), '0'
      if not room then
        redis.call('ZREM', leases, other)
        break
      end
    end
    place = clean(other, room, place)
    if place == '0' then
      redis.call('HDEL', theirs, room)
      redis.call('DEL', scan)
    else
      redis.call('SET', scan, place .. ' ' .. room, 'PX', 60000)
    end
    room = nil
  end
  if budget <= 0 then break end
end
if stops and budget > 0 then redis.call('DEL', loss) end
return {tonumber(lost or 0), budget <= 0 and 0 or 1}
