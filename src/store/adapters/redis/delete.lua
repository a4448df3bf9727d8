-- KEYS: object and its folder, for each. ARGV: names.
for at, name in ipairs(ARGV) do
  redis.call('DEL', KEYS[at * 2 - 1])
  redis.call('ZREM', KEYS[at * 2], name)
end
return redis.status_reply('OK')
