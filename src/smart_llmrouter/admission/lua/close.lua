-- Ends an owner: its leases are told, and nothing that it sent is counted any more.
-- KEYS: clock, owners, the owner's leases. ARGV: owner, for how long to remember it.
tell_time()
if call('HDEL', KEYS[2], ARGV[1]) == 1 then
  clock_dead[#clock_dead + 1] = ARGV[1]
  tell_owners(NEVER, clock_dead)
end
local held = call('HGETALL', KEYS[3])
if #held > 0 then
  call('HSET', KEYS[3], '#', 9007199254740991)
  call('PEXPIRE', KEYS[3], ARGV[2])
end
return held
