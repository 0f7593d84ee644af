-- Keeps an answer for a while, and no more bytes of answers than may be: the oldest go.
--
-- KEYS  the answer, the order of all of them (by when each ends), their sizes
-- ARGV  the answer, for how many ms, how many bytes at most, the answer's name in the
--       order, what stands before a name in a key, how many bytes one costs beside its own
-- Gives how many bytes all take now.
local entry, order, sizes = KEYS[1], KEYS[2], KEYS[3]
local answer, ttl, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local name, prefix, overhead = ARGV[4], ARGV[5], tonumber(ARGV[6])
local ALL = ''
local AT_ONCE = 100
local KEPT_MS = 86400000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function forget(each)
  local size = tonumber(redis.call('HGET', sizes, each) or 0)
  redis.call('HDEL', sizes, each)
  redis.call('ZREM', order, each)
  redis.call('DEL', prefix .. each)
  return redis.call('HINCRBY', sizes, ALL, -size)
end

for _, each in ipairs(redis.call('ZRANGEBYSCORE', order, '-inf', now, 'LIMIT', 0, AT_ONCE)) do
  forget(each)
end
local total = forget(name)
local size = #answer + overhead
if size > most then
  return total
end
local oldest = redis.call('ZRANGE', order, 0, AT_ONCE)
for _, each in ipairs(oldest) do
  if total + size <= most then
    break
  end
  total = forget(each)
end
if total + size <= most then
  redis.call('SET', entry, answer, 'PX', ttl)
  redis.call('ZADD', order, now + ttl, name)
  redis.call('HSET', sizes, name, size)
  total = redis.call('HINCRBY', sizes, ALL, size)
end
-- The sums outlive what they are of: else an answer would be there that nobody counts.
redis.call('PEXPIRE', order, KEPT_MS + ttl)
redis.call('PEXPIRE', sizes, KEPT_MS + ttl)
return total
