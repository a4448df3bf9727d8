-- KEYS: object, its folder, the folder to list. ARGV: bytes, name, channel, notice, whether to list, first and last name.
local time = redis.call('TIME')
local stored = string.format('%013d', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('SET', KEYS[1], stored .. ARGV[1])
redis.call('ZADD', KEYS[2], 0, ARGV[2])
if ARGV[3] ~= '' then redis.call('PUBLISH', ARGV[3], ARGV[4]) end
local info = redis.pcall('INFO', 'server')
local life = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
if ARGV[5] == '' then return { life, {} } end
return { life, redis.call('ZRANGEBYLEX', KEYS[3], ARGV[6], ARGV[7], 'LIMIT', 0, 5000) }
