-- Keeps all leases of an owner for another while: it lives.
-- KEYS: clock, owners, the owner's leases. ARGV: owner, epoch, lease time, for how long
-- the leases of a dead owner are remembered.
-- Returns whether it was alive, how many are, and who is dead and not swept.
local owner, lease_ms = ARGV[1], tonumber(ARGV[3])
local now = tell_time()
local known = call('HGET', KEYS[2], owner)
if known then
  local _, epoch = unpack(known)
  call('HSET', KEYS[2], owner, pack(now + lease_ms, epoch))
  call('PEXPIRE', KEYS[3], ARGV[4])
end
local answer = {known and 1 or 0, call('HLEN', KEYS[2])}
for _, name in ipairs(clock_dead) do answer[#answer + 1] = name end
return answer
