-- Enters a key into the roster of a room.
--
-- KEYS: roster, leases, rooms of the server
-- ARGV: channel, prefix, room, server, seat, key, info
-- Returns 1, or 0 if the key is taken
local roster, leases, rooms = KEYS[1], KEYS[2], KEYS[3]
local channel, prefix, room = ARGV[1], ARGV[2], ARGV[3]
local server, seat, key, info = ARGV[4], ARGV[5], ARGV[6], ARGV[7]

local owner = server .. seat
local held = redis.call('HGET', roster, key)
local said = ''
if held then
  local other = string.sub(held, 1, 16)
  if string.sub(held, 1, 32) == owner then
    if string.sub(held, 33) == info then return 1 end
  elseif other == server then
    return 0
  else
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local lease = redis.call('ZSCORE', leases, other)
    if lease and tonumber(lease) > now then return 0 end
    -- Its server is gone, or has been away for too long.
    said = 'l' .. #key .. ':' .. key
  end
end
redis.call('HSET', roster, key, owner .. info)
if not held or said ~= '' then redis.call('HINCRBY', rooms, room, 1) end
if said ~= '' then
  local theirs = prefix .. ':server:' .. string.sub(held, 1, 16)
  if redis.call('HEXISTS', theirs, room) == 1 and redis.call('HINCRBY', theirs, room, -1) <= 0 then
    redis.call('HDEL', theirs, room)
  end
end
redis.call('PUBLISH', channel,
  'p1' .. said .. 'e' .. owner .. #key .. ':' .. key .. #info .. ':' .. info)
return 1
