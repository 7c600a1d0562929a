-- Shows that this server can be written to, and says so on a channel.
--
-- KEYS: one that does not exist
-- ARGV: channel, number of the probe, or '' for silence
--
-- A replica passes messages on to its subscribers, and refuses to write.
redis.call('DEL', KEYS[1])
if ARGV[2] ~= '' then redis.call('PUBLISH', ARGV[1], ARGV[2]) end
return 1
