-- Tells how scopes stand, and changes nothing.
-- KEYS: clock, owners, the scopes. ARGV: the scopes (packed), the time of the asker.
local scopes, began = unpack(ARGV[1]), tonumber(ARGV[2])
tell_time()
local answers = {}
for i = 1, #scopes do
  local at, given = read_scope(KEYS[2 + i], ''), scopes[i]
  local s = at.s
  local told = {s.q, s.t, s.c, resets_in(at, false), resets_in(at, true)}
  for _, each in ipairs(given[9]) do
    local p = s.p[period_id(s, each[1], began)] or {0, 0, 0, 0, 0, 0}
    for unit = 1, 6 do told[#told + 1] = p[unit] end
  end
  answers[i] = told
end
return answers
