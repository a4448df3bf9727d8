-- KEYS: object, its folder, the folder to list. ARGV: bytes, name, channel, notice, whether to list, first and last name.
local time = redis.call('TIME')
local stored = string.format('%013d', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('SET', KEYS[1], stored .. ARGV[1])
redis.call('ZADD', KEYS[2], 0, ARGV[2])
if ARGV[3] ~= '' then redis.call('PUBLISH', ARGV[3], ARGV[4]) end
local server, history = redis.pcall('INFO', 'server'), redis.pcall('INFO', 'replication')
local life = ''
if type(server) == 'string' and type(history) == 'string' then
  life = (string.match(server, 'run_id:(%w+)') or '') .. ':' .. (string.match(history, 'master_replid:(%w+)') or '')
end
if ARGV[5] == '' then return { life, {} } end
return { life, redis.call('ZRANGEBYLEX', KEYS[3], ARGV[6], ARGV[7], 'LIMIT', 0, 5000) }
