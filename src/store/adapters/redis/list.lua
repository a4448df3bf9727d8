-- KEYS: folder. ARGV: first and last name, the start of the keys of its objects, or nothing where names are enough.
local server, history = redis.pcall('INFO', 'server'), redis.pcall('INFO', 'replication')
local life = ''
if type(server) == 'string' and type(history) == 'string' then
  life = (string.match(server, 'run_id:(%w+)') or '') .. ':' .. (string.match(history, 'master_replid:(%w+)') or '')
end
local names = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3] == '' and 5000 or 500)
if ARGV[3] == '' then return { life, names } end
local found = {}
for _, name in ipairs(names) do
  local key = ARGV[3] .. name
  found[#found + 1] = { name, redis.call('STRLEN', key), redis.call('GETRANGE', key, 0, 12) }
end
return { life, found }
