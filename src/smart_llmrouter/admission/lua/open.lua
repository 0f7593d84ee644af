-- Begins an owner's life, or goes on with it on a new connection.
-- KEYS: clock, owners, the owner's leases, all owners of this router. ARGV: owner, epoch, lease time, how the names
-- begin of those that are dead for certain, separated by spaces; `!` before one makes
-- an exception.
-- Returns whether the owner is alive, and how many are.
local owner, epoch, lease_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local function is_dead(name)
  if name == owner then return false end
  for prefix in string.gmatch(ARGV[4], '%S+') do
    if string.sub(prefix, 1, 1) == '!' then
      if string.sub(name, 1, #prefix - 1) == string.sub(prefix, 2) then return false end
    elseif string.sub(name, 1, #prefix) == prefix then
      return true
    end
  end
  return false
end

local buried = {}
for _, name in ipairs(call('HKEYS', KEYS[2])) do
  if is_dead(name) then
    call('HDEL', KEYS[2], name)
    buried[#buried + 1] = name
  end
end
local now = tell_time()
for _, name in ipairs(clock_dead) do
  if name == owner then return {0, call('HLEN', KEYS[2])} end
end
for _, name in ipairs(buried) do clock_dead[#clock_dead + 1] = name end
local known = call('HEXISTS', KEYS[2], owner)
if epoch > 1 and known == 0 then return {0, call('HLEN', KEYS[2])} end
call('HSET', KEYS[2], owner, pack(now + lease_ms, epoch))
call('SADD', KEYS[4], owner)
tell_owners(now + lease_ms, clock_dead)
return {1, call('HLEN', KEYS[2])}
