-- Begins a period of a budget anew for all calls that begin from then on; told twice, it
-- is done once.
-- KEYS: clock, owners, the scope. ARGV: the period's letter, and when it begins.
tell_time()
local at = read_scope(KEYS[3], '')
note_reset(at, ARGV[1], tonumber(ARGV[2]))
save(at)
return 1
