-- Releases what dead owners hold of some scopes, and forgets one who holds nothing more.
-- KEYS: clock, owners, the dead owner's leases, scopes. ARGV: the owner, `1` if these
-- are the last of its scopes, for how long its leases are remembered.
tell_time()
for i = 4, #KEYS do
  local at = read_scope(KEYS[i], '')
  forget_owner(at, ARGV[1])
  if at.dirty then save(at) end
end
if ARGV[2] == '1' then
  local rest = {}
  for _, name in ipairs(clock_dead) do
    if name ~= ARGV[1] then rest[#rest + 1] = name end
  end
  tell_owners(NEVER, rest)
  call('PEXPIRE', KEYS[3], ARGV[3])
end
return 1
