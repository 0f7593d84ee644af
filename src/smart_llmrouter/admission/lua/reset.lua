-- Begins a period of a budget anew for all calls that begin from then on; told twice, it
-- is done once.
-- KEYS: clock, owners, the scope. ARGV: the period's letter, and when it begins.
tell_time()
local at = read_scope(KEYS[3], '')
local resets, begins, known = at.s.r[ARGV[1]] or {}, tonumber(ARGV[2]), false
for i = 1, #resets do known = known or resets[i] == begins end
if not known then
  resets[#resets + 1] = begins
  table.sort(resets)
  while #resets > RESETS_KEPT do table.remove(resets, 1) end
end
at.s.r[ARGV[1]] = resets
save(at)
return 1
