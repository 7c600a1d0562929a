-- Enters a key into the roster of a room.
--
-- KEYS: roster, leases, rooms of the server
-- ARGV: channel, prefix, room, server, seat, key, info, 1 to take over a key that is taken, else 0,
--       version that the server writes
-- Returns 1, or 0 if the key is taken
local roster, leases, rooms = KEYS[1], KEYS[2], KEYS[3]
local channel, prefix, room = ARGV[1], ARGV[2], ARGV[3]
local server, seat, key, info, takes_over = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8] == '1'

local owner = server .. seat
local held = redis.call('HGET', roster, key)
local other = held and string.sub(held, 1, 16)
if held == owner .. info then return 1 end
if held and string.sub(held, 1, 32) ~= owner and not takes_over then
  if other == server then return 0 end
  -- Without a lease, its server is gone. Whether a lease is over is judged by beats alone, which know
  -- whether Redis was away or its clock has jumped, and then remove the entries too.
  if redis.call('ZSCORE', leases, other) then return 0 end
end
redis.call('HSET', roster, key, owner .. info)
if other ~= server then
  redis.call('HINCRBY', rooms, room, 1)
  if other then
    local theirs = prefix .. ':server:' .. other
    if redis.call('HEXISTS', theirs, room) == 1
      and redis.call('HINCRBY', theirs, room, -1) <= 0 then
      redis.call('HDEL', theirs, room)
    end
  end
end
redis.call('PUBLISH', channel, 'p' .. ARGV[9] .. 'e' .. owner .. #key .. ':' .. key .. #info .. ':' .. info)
return 1
