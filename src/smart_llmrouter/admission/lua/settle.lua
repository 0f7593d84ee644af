-- Gives back what a lease holds, and counts what its call has used: once.
-- KEYS: clock, owners, the owner's leases, the scopes.
-- ARGV: owner, the places of the scopes (packed), and packed: number of the settlement (0: only if the
--       lease is there), lease, when the call began, step in which it was taken (-1: not
--       known; -2: in none of this minute), tokens taken then, requests, tokens and nusd used, whether it is the
--       oldest that is sent.
-- Returns 1, or 0 where that was done before, or -1 where an earlier one is missing.
local owner, given = ARGV[1], unpack(ARGV[3])
local number, lease, began, step, minute = given[1], given[2], given[3], given[4], given[5]
local used = {given[6], given[7], given[8]}
tell_time()

local got = call('HMGET', KEYS[3], '#', lease)
local last = tonumber(got[1] or '')
if number > 0 then
  if last and number <= last then return 0 end
  if last and number ~= last + 1 and not given[9] then return -1 end
  call('HSET', KEYS[3], '#', number)
elseif not got[2] then
  return 0
end
local tokens, nusd = 0, 0
local kept = got[2] and unpack(got[2])
if kept then
  step, began, minute, tokens, nusd = kept[1], kept[2], kept[3], kept[4], kept[5]
  call('HDEL', KEYS[3], lease)
elseif used[1] + used[2] + used[3] == 0 and step < 0 then
  return 1
end
local scopes = kept and kept[6] or unpack(ARGV[2])
local held = {1, tokens, nusd}

local function settle_period(i, at, id)
  id = id_of(kept, i, at, id, began)
  local mine = at.o and at.o.p[id]
  if kept and mine then
    local p, rest = period(at.s, id), 0
    for unit = 1, 3 do
      local back = min(mine[unit], held[unit])
      mine[unit] = mine[unit] - back
      p[3 + unit] = max(0, p[3 + unit] - back)
      rest = rest + mine[unit]
    end
    if rest <= 0 then at.o.p[id] = nil end
  end
  if used[1] + used[2] + used[3] > 0 then
    local p = period(at.s, id)
    for unit = 1, 3 do p[unit] = p[unit] + used[unit] end
  end
end

for i = 1, #scopes do
  local at = read_scope(KEYS[3 + i], owner)
  if kept and at.o and at.o.c > 0 then
    at.s.c, at.o.c = max(0, at.s.c - 1), at.o.c - 1
  end
  for _, id in ipairs(scopes[i][3]) do settle_period(i, at, id) end
  if step >= 0 then
    give_back(at, step, max(0, 1 - used[1]), max(0, minute - used[2]))
    if used[2] > minute then count_now(at, 0, used[2] - minute) end
  elseif step == -1 then
    count_now(at, used[1], used[2])
  end
  save(at, scopes[i][2])
end
return 1
