-- Removes a key from the roster of a room, if it still belongs to this seat.
--
-- KEYS: roster, rooms of the server
-- ARGV: channel, room, server and seat, key, version that the server writes
local roster, rooms = KEYS[1], KEYS[2]
local channel, room, owner, key = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local held = redis.call('HGET', roster, key)
if not held or string.sub(held, 1, 32) ~= owner then return 0 end
redis.call('HDEL', roster, key)
if redis.call('HINCRBY', rooms, room, -1) <= 0 then redis.call('HDEL', rooms, room) end
redis.call('PUBLISH', channel, 'p' .. ARGV[5] .. 'l' .. #key .. ':' .. key)
return 1
