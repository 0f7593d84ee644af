-- Takes more of the budgets for a call in flight, of all of them or of none: of those in
-- which it holds something, by the limits of now.
-- KEYS: clock, owners, the owner's leases, the scopes.
-- ARGV: owner, the scopes (packed), and packed: lease, tokens, nusd.
-- Returns 1, or 0 and which budget refuses.
local owner, scopes = ARGV[1], unpack(ARGV[2])
local lease, more_tokens, more_nusd = spread(unpack(ARGV[3]))
local needs = {0, more_tokens, more_nusd}
tell_time()
local kept = call('HGET', KEYS[3], lease)
if not kept then return {1} end
kept = unpack(kept)
local began = kept[2]
local worst = {wait = -1}
local read = {}
for i = 1, #scopes do
  local at = read_scope(KEYS[3 + i], owner)
  read[i] = at
  for _, given in ipairs(scopes[i][9]) do
    local caps, number = given[3], given[5]
    local ends = period_end(at.s, given[1], began, given[2])
    local id = id_of(kept, i, at, given[1], began)
    local p, mine = period(at.s, id), at.o and at.o.p[id]
    for unit = 2, 3 do
      local cap, total = caps[unit], p[unit] + p[3 + unit]
      if mine and cap >= 0 and needs[unit] > 0 and total + needs[unit] > cap then
        local wait, at_end = 1000, false
        if needs[unit] > cap or ends == 0 and p[unit] + needs[unit] > cap then
          wait = NEVER
        elseif p[unit] + needs[unit] > cap then
          wait, at_end = max(1, ends - began + 1), true
        end
        if wait > worst.wait then
          worst = {scope = i, limit = 5 + (number - 1) * 3 + unit,
            left = max(0, cap - total), wait = wait, ends = ends, at_end = at_end}
        end
      end
    end
  end
end
if worst.scope then
  return {0, worst.scope, worst.limit, worst.left, told_wait(worst), worst.ends}
end
for i = 1, #scopes do
  local at = read[i]
  if at.o then
    for _, given in ipairs(scopes[i][9]) do
      local id = id_of(kept, i, at, given[1], began)
      local p, mine = period(at.s, id), at.o.p[id]
      if mine then
        for unit = 2, 3 do
          p[3 + unit] = p[3 + unit] + needs[unit]
          mine[unit] = mine[unit] + needs[unit]
        end
      end
    end
    save(at, scopes[i][8])
  end
end
call('HSET', KEYS[3], lease,
  record(kept[1], began, kept[3], kept[4] + needs[2], kept[5] + needs[3], pack(kept[6]), kept[7]))
return {1}
