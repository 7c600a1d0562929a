-- Appends messages to the log of a room, and passes them on.
--
-- KEYS: top, log, then the key of each message that has one
-- ARGV: channel, field of the server, tag of an empty log, limits of the log in messages and
--       bytes, milliseconds until the log and the top are forgotten, number of the current period;
--       then of each message: sequence number of 16 digits, tag, envelope, index of its key in
--       KEYS or ''
-- Returns the number and the tag at the end; one letter for each message: a (appended),
--       r (a repeat), s (said before under its key); and the positions of the latter
local top, log = KEYS[1], KEYS[2]
local channel, server, root = ARGV[1], ARGV[2], ARGV[3]
local keep, keep_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local age, forget, period = ARGV[6], ARGV[7], ARGV[8]

local have = redis.call('HMGET', top, 'n', 't', 'b', 'p', server)
local n, tag, bytes = have[1], have[2], tonumber(have[3] or 0)
local is_new = not n                       -- no log, or its end was lost: another log begins
if is_new then n, tag = '0', root end
-- The greatest sequence number that this server has appended here.
local seen = have[5] and tonumber(string.sub(have[5], 1, 16)) or -1

local number, last = tonumber(n), nil
local push, pushed, outcomes, said, said_at = {}, 0, {}, {}, {}
for i = 9, #ARGV, 4 do
  local seq, own, envelope = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2]
  local key = ARGV[i + 3] ~= '' and KEYS[tonumber(ARGV[i + 3])]
  local earlier = key and (said[key] or redis.call('GET', key))
  if earlier then
    outcomes[#outcomes + 1] = 's'
    said_at[#said_at + 1] = earlier
  elseif seq <= seen then
    outcomes[#outcomes + 1] = 'r'
  else
    outcomes[#outcomes + 1] = 'a'
    last = ARGV[i]
    number = number + 1
    local entry = tag .. own .. envelope
    push[#push + 1] = entry
    pushed = pushed + #entry
    tag = own
    if key then said[key] = string.format('%.0f', number) .. ' ' .. own end
  end
end
outcomes = table.concat(outcomes)
if not last then return {n, tag, outcomes, said_at} end

-- When its memory is full, Redis refuses what could take more only before a script's first
-- write. So the first write must be one that it refuses: HSET or RPUSH.
if is_new then
  redis.call('HSET', top, 'n', n, 't', root)
  redis.call('DEL', log)
end
local length = redis.call('RPUSH', log, unpack(push))
local begins = length == #push             -- the log was empty, expired or evicted
bytes = begins and pushed or bytes + pushed
if length > keep + 1 then
  for _, entry in ipairs(redis.call('LPOP', log, length - keep)) do bytes = bytes - #entry end
  length = keep
elseif length > keep then
  -- As a rule. An answer without an array costs less.
  bytes = bytes - #redis.call('LPOP', log)
  length = keep
end
while bytes > keep_bytes and length > 1 do
  bytes = bytes - #redis.call('LPOP', log)
  length = length - 1
end
-- With the number, which tells who has not published here for longest.
redis.call('HSET', top, 'n', number, 't', tag, 'b', bytes, 'p', period, server, last .. number)
if begins or is_new or have[4] ~= period then
  redis.call('PEXPIRE', log, age)
  redis.call('PEXPIRE', top, forget)
end
for key, position in pairs(said) do redis.call('SET', key, position, 'PX', 300000) end
if seen < 0 and redis.call('HLEN', top) > 72 then
  -- The fields of servers that have not published here for the longest time. Fields of other
  -- names may belong to a newer release.
  local fields, servers = redis.call('HGETALL', top), {}
  for i = 1, #fields, 2 do
    if string.match(fields[i], '^s%x+$') then
      servers[#servers + 1] = {fields[i], tonumber(string.sub(fields[i + 1], 17)) or 0}
    end
  end
  table.sort(servers, function(a, b) return a[2] < b[2] end)
  for i = 1, #servers - 32 do redis.call('HDEL', top, servers[i][1]) end
end
for i, entry in ipairs(push) do push[i] = #entry .. ':' .. entry end
redis.call('PUBLISH', channel, 'm1' .. n .. ' ' .. table.concat(push))
return {string.format('%.0f', number), tag, outcomes, said_at}
