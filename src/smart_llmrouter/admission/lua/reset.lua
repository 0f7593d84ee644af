-- Begins a period of a budget anew for all calls that begin from then on.
-- KEYS: clock, owners, the scope. ARGV: the period's letter, when it begins, for how
-- long to keep the scope.
tell_time()
local at = read_scope(KEYS[3], '')
local resets, begins = at.s.r[ARGV[1]] or {}, tonumber(ARGV[2])
resets[#resets + 1] = begins
table.sort(resets)
while #resets > PERIODS_KEPT do table.remove(resets, 1) end
at.s.r[ARGV[1]] = resets
save(at, tonumber(ARGV[3]))
return 1
