-- Reads the roster of a room. Entries of servers that are unknown are removed.
--
-- KEYS: roster, leases
-- ARGV: channel, version that the server writes, prefix, room
-- Returns keys and values
local roster, leases = KEYS[1], KEYS[2]
local all, known, found, gone = redis.call('HGETALL', roster), {}, {}, {}
for i = 1, #all, 2 do
  local server = string.sub(all[i + 1], 1, 16)
  if known[server] == nil then
    known[server] = redis.call('ZSCORE', leases, server) and true
    -- All that it has here is removed. If it comes back, it counts from nothing.
    if not known[server] then redis.call('HDEL', ARGV[3] .. ':server:' .. server, ARGV[4]) end
  end
  if known[server] then
    found[#found + 1] = all[i]
    found[#found + 1] = all[i + 1]
  else
    gone[#gone + 1] = all[i]
  end
end
for i, key in ipairs(gone) do
  redis.call('HDEL', roster, key)
  gone[i] = 'l' .. #key .. ':' .. key
end
if #gone > 0 then redis.call('PUBLISH', ARGV[1], 'p' .. ARGV[2] .. table.concat(gone)) end
return found
