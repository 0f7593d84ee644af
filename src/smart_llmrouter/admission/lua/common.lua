-- What all decisions share. A decision is this file and the one of its name, run as one
-- script: nothing comes between. KEYS[1] is the namespace's clock, KEYS[2] has who is
-- alive; a scope is one hash:
--
--   s            packed: c calls in flight; the rolling minute (q requests, t tokens,
--                a and z the oldest and newest step, zq and zt what the newest holds);
--                p the periods of its budgets, {used q t n, reserved q t n, warned};
--                r when budgets were reset, by their letter; f1 g1 f2 g2 how full its buckets are, and
--                when they were; x until when the hash is kept
--   <step>       packed: requests, tokens and the next step of an older step
--   o<owner>     packed: c and p, what this owner's leases hold of the scope
--
-- Times are in milliseconds, amounts whole numbers up to 2^53: 9 million dollars are
-- 9e15 nano-dollars, which a double still holds exactly.

local call, floor, ceil, max, min = redis.call, math.floor, math.ceil, math.max, math.min
local spread = unpack
local pack, unpack = cmsgpack.pack, cmsgpack.unpack

local NEVER, PERIODS_END = 1e15, -2
local STEP_MS, STEPS = 100, 600
-- A wait that was told must be enough, whatever floating point loses on the way.
local ROUNDING_MS = 0.001
local LONGEST_GAP_MS = --[[longest-gap]] 5000 --[[/longest-gap]]
local MOST_DEAD = 8
local RESETS_KEPT = 8
local PERIODS_KEPT_MS = {d = 3 * 86400000, m = 63 * 86400000, l = 3 * 86400000}

local clock_now, clock_dead

-- The clock goes on with the server's, but not back, and not far ahead at once: while
-- somebody is alive, the clock is looked at every second, and more than a few seconds
-- in between mean that the server's clock was set, or that it was stopped itself.
local function tell_time()
  local t = --[[server-time]] call('TIME') --[[/server-time]]
  local real = t[1] * 1000 + t[2] / 1000
  local last, offset, expiry, dead = real, 0, NEVER, {}
  local kept = call('GET', KEYS[1])
  if kept then last, offset, expiry, dead = unpack(kept) end
  local changed = not kept
  local passed = real - last
  if passed < 0 then
    offset, changed = offset - passed, true
  elseif passed > LONGEST_GAP_MS and call('HLEN', KEYS[2]) > 0 then
    offset = offset - (passed - LONGEST_GAP_MS)
  end
  local now = real + offset
  if now >= expiry then
    expiry = NEVER
    local all = call('HGETALL', KEYS[2])
    for i = 1, #all, 2 do
      local until_ms = unpack(all[i + 1])
      if until_ms <= now then
        call('HDEL', KEYS[2], all[i])
        dead[#dead + 1] = all[i]
      else
        expiry = min(expiry, until_ms)
      end
    end
    changed = true
  end
  if changed or passed >= STEP_MS then
    call('SET', KEYS[1], pack(real, offset, expiry, dead))
  end
  clock_now, clock_dead = now, dead
  return now
end

-- Changes what the clock knows of owners: who is dead, and when the next may be.
local function tell_owners(expiry, dead)
  local last, offset, soonest = unpack(call('GET', KEYS[1]))
  call('SET', KEYS[1], pack(last, offset, min(soonest, expiry), dead))
end

local function forget_owner(at, owner)
  local field = 'o' .. owner
  local held = call('HGET', at.key, field)
  if not held then return end
  held = unpack(held)
  local s = at.s
  s.c = max(0, s.c - held.c)
  for id, taken in pairs(held.p) do
    local p = s.p[id]
    if p then
      for i = 1, 3 do p[3 + i] = max(0, p[3 + i] - taken[i]) end
    end
  end
  at.gone[#at.gone + 1] = field
  at.dirty = true
end

-- Returns what a step holds, and the one that follows it.
local function entry(at, step)
  local s = at.s
  if step == s.z then return s.zq, s.zt, nil end
  local held = call('HGET', at.key, step)
  if held then return unpack(held) end
  return 0, 0, s.z
end

local function roll(at)
  local s, oldest = at.s, at.step - STEPS
  while s.a and s.a <= oldest do
    local q, t, following = entry(at, s.a)
    s.q, s.t = max(0, s.q - q), max(0, s.t - t)
    if s.a == s.z then
      s.a, s.z, s.zq, s.zt, s.q, s.t = nil, nil, 0, 0, 0, 0
    else
      at.gone[#at.gone + 1] = s.a
      s.a = following
    end
    at.dirty = true
  end
end

-- Reads a scope, releases what the dead held of it, and lets the minute roll.
local function read_scope(key, owner)
  local got = call('HMGET', key, 's', 'o' .. owner)
  local at = {key = key, owner = owner, gone = {}, dirty = false}
  at.s = got[1] and unpack(got[1]) or {q = 0, t = 0, c = 0, zq = 0, zt = 0, p = {}, r = {}}
  at.o = got[2] and unpack(got[2]) or nil
  for i = 1, min(MOST_DEAD, #clock_dead) do
    forget_owner(at, clock_dead[i])
    if clock_dead[i] == owner then at.o = nil end
  end
  at.step = max(floor(clock_now / STEP_MS), at.s.z or 0)
  roll(at)
  return at
end

local function save(at, keep_ms)
  local s = at.s
  local written = {'HSET', at.key, 's', ''}
  if at.closed then
    written[5], written[6] = at.closed[1], at.closed[2]
  end
  if at.o then
    local field = 'o' .. at.owner
    if at.o.c <= 0 and next(at.o.p) == nil then
      at.gone[#at.gone + 1] = field
    else
      written[#written + 1], written[#written + 2] = field, pack(at.o)
    end
  end
  local lasts = keep_ms and keep_ms > 0 and (s.x or 0) < clock_now + keep_ms / 2
  local stays = keep_ms == 0 and s.x ~= nil
  if lasts then s.x = clock_now + keep_ms end
  if stays then s.x = nil end
  written[4] = pack(s)
  call(spread(written))
  if #at.gone > 0 then call('HDEL', at.key, spread(at.gone)) end
  if lasts then call('PEXPIRE', at.key, keep_ms) end
  if stays then call('PERSIST', at.key) end
end

-- Counts in the newest step, which is now's.
local function count_now(at, requests, tokens)
  local s = at.s
  s.q, s.t = s.q + requests, s.t + tokens
  if s.z ~= at.step then
    if s.z then
      at.closed = {s.z, pack(s.zq, s.zt, at.step)}
    else
      s.a = at.step
    end
    s.z, s.zq, s.zt = at.step, 0, 0
  end
  s.zq, s.zt = s.zq + requests, s.zt + tokens
end

-- Gives back to the step in which it was taken, if that is in the minute still.
local function give_back(at, step, requests, tokens)
  local s = at.s
  if not s.a or step < s.a or requests + tokens == 0 then return end
  if step == s.z then
    requests, tokens = min(requests, s.zq), min(tokens, s.zt)
    s.zq, s.zt = s.zq - requests, s.zt - tokens
  else
    local held = call('HGET', at.key, step)
    if not held then return end
    local q, t, following = unpack(held)
    requests, tokens = min(requests, q), min(tokens, t)
    call('HSET', at.key, step, pack(q - requests, t - tokens, following))
  end
  s.q, s.t = max(0, s.q - requests), max(0, s.t - tokens)
end

-- Returns in how many milliseconds so much has rolled out of the minute.
local function wait_for(at, over, of_tokens)
  local step, freed = at.s.a, 0
  while step do
    local q, t, following = entry(at, step)
    freed = freed + (of_tokens and t or q)
    if freed >= over or not following then break end
    step = following
  end
  return (step + STEPS) * STEP_MS - clock_now + ROUNDING_MS
end

-- Returns in how many milliseconds all has rolled out of the minute.
local function resets_in(at, of_tokens)
  local s = at.s
  local last = s.z
  if last and (of_tokens and s.zt or s.zq) == 0 then
    local step = s.a
    last = nil
    while step do
      local q, t, following = entry(at, step)
      if (of_tokens and t or q) > 0 then last = step end
      step = following
    end
  end
  return last and ceil((last + STEPS) * STEP_MS - clock_now) or 0
end

-- Notes that a period began anew; told twice, it is done once.
local function note_reset(at, kind, begins)
  local resets = at.s.r[kind] or {}
  for i = 1, #resets do
    if resets[i] == begins then return end
  end
  resets[#resets + 1] = begins
  table.sort(resets)
  while #resets > RESETS_KEPT do table.remove(resets, 1) end
  at.s.r[kind] = resets
end

-- Returns the period to which a call belongs: its kind and when it began, by the calendar
-- or by the last reset before the call.
local function period_id(s, id, began)
  local kind, resets = string.sub(id, 1, 1), s.r[string.sub(id, 1, 1)]
  if not resets then return id end
  local from = tonumber(string.sub(id, 2)) or 0
  for i = 1, #resets do
    if resets[i] <= began and resets[i] > from then from = resets[i] end
  end
  return from == 0 and id or kind .. string.format('%.0f', from)
end

-- Returns when the period has ended to which a call belongs, 0: never.
local function period_end(s, id, began, ends)
  for _, reset in ipairs(s.r[string.sub(id, 1, 1)] or {}) do
    if reset > began and (ends == 0 or reset < ends) then ends = reset end
  end
  return ends
end

local function began_at(id)
  return tonumber(string.sub(id, 2)) or 0
end

local function period(s, id)
  local p = s.p[id]
  if p then return p end
  local kind = string.sub(id, 1, 1)
  local oldest = began_at(id) - PERIODS_KEPT_MS[kind]
  for other, held in pairs(s.p) do
    if string.sub(other, 1, 1) == kind and began_at(other) < oldest
      and other ~= kind and held[4] + held[5] + held[6] == 0 then
      s.p[other] = nil
    end
  end
  p = {0, 0, 0, 0, 0, 0, 0}
  s.p[id] = p
  return p
end

-- Returns a lease as it is remembered: an array of seven, of which the places are packed
-- already. `ids` are the periods of each scope that are not as the calendar has them.
local function record(step, began, minute, tokens, nusd, places, ids)
  return '\151' .. pack(step, began, minute, tokens, nusd) .. places .. pack(ids)
end

-- Returns the period in which a lease holds something: what was granted before a reset
-- was told stays where it was.
local function id_of(kept, i, at, id, began)
  if not kept then return period_id(at.s, id, began) end
  local ids = kept[7][i] or kept[7][tostring(i)]
  return ids and ids[id] or id
end

-- Returns what a refusal says of its wait: microseconds, -1: for good, -2: until the
-- period has ended.
local function told_wait(worst)
  if worst.wait >= NEVER then return -1 end
  if worst.at_end then return PERIODS_END end
  return ceil(worst.wait * 1000)
end

local function fullness(at, number, size, rate)
  local s = at.s
  local level = s['f' .. number]
  if not level then return size end
  local since = max(0, clock_now - s['g' .. number])
  return min(size, level + since * rate / 1000)
end
