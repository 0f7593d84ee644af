-- Begins periods with what is on record of them, where nobody has counted in them yet.
-- KEYS: clock, owners, the scopes. ARGV: packed, for each scope: how long to keep it,
-- when the records were read, and for each period: by the calendar; the last reset in
-- it, or 0; what is on record; and what was on record before, which is made good if that
-- is all that is counted.
-- Returns how many periods were changed.
local seeds, count = unpack(ARGV[1]), 0
tell_time()

local function is_unused(p, before)
  if not p then return true end
  if #before == 0 or p[4] + p[5] + p[6] > 0 then return false end
  return p[1] == before[1] and p[2] == before[2] and p[3] == before[3]
end

for i = 1, #seeds do
  local keep_ms, read_ms, periods = spread(seeds[i])
  local at, changed = read_scope(KEYS[2 + i], ''), false
  for _, each in ipairs(periods) do
    local id, reset, used, before = spread(each)
    if reset > 0 then note_reset(at, string.sub(id, 1, 1), reset) end
    local own = period_id(at.s, id, read_ms)
    local same = began_at(own) == (reset > 0 and reset or began_at(id))
    if same and is_unused(at.s.p[own], before) then
      local p = period(at.s, own)
      for unit = 1, 3 do p[unit] = used[unit] end
      changed, count = true, count + 1
    end
  end
  if changed then save(at, keep_ms) end
end
return count
