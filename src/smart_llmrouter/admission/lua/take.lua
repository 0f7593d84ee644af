-- Takes all that a call needs out of all of its scopes, or nothing.
-- KEYS: clock, owners, the owner's leases, the scopes.
-- ARGV: owner, epoch, the scopes (packed), whether to tell what is left, their places
--       (packed), and packed: lease, when the call began, input tokens, tokens, nusd,
--       whether it must be granted, and what time it is for the asker.
-- Returns -1 where the owner is not alive; 0 and what refuses; 1 and how the minute is.
local owner, epoch, scopes = ARGV[1], tonumber(ARGV[2]), unpack(ARGV[3])
local lease, began, input, tokens, nusd, forced, wall = spread(unpack(ARGV[6]))
local now = tell_time()

local alive = call('HGET', KEYS[2], owner)
if not alive then return {-1} end
local _, current = unpack(alive)
if epoch ~= current then return {-1} end

local worst = {wait = -1}
local function refuse(i, limit, left, wait, more)
  if wait > worst.wait then
    worst = more or {}
    worst.scope, worst.limit, worst.left, worst.wait = i, limit, max(0, left), wait
  end
end

local function check_minute(i, at, limit, most, used, need)
  if most == 0 or need == 0 or used + need <= most then return end
  local of_tokens = limit == 2
  local wait = need > most and NEVER or wait_for(at, used + need - most, of_tokens)
  refuse(i, limit, most - used, wait, {resets = resets_in(at, of_tokens)})
end

local function check_bucket(i, limit, level, amount, size, rate)
  local missing = min(amount, size) - level
  if amount > 0 and missing > 1e-9 * size then
    refuse(i, limit, floor(level), missing * 1000 / rate + ROUNDING_MS)
  end
end

local function check_period(i, at, given)
  local id, caps, number = given[1], given[3], given[5]
  local ends = period_end(at.s, id, began, given[2])
  local p = period(at.s, period_id(at.s, id, began))
  local needs = {1, tokens, nusd}
  for unit = 1, 3 do
    local cap, need, used = caps[unit], needs[unit], p[unit]
    if cap >= 0 and need > 0 and used + p[3 + unit] + need > cap then
      local limit, left = 5 + (number - 1) * 3 + unit, cap - used - p[3 + unit]
      if need > cap or ends == 0 and used + need > cap then
        refuse(i, limit, left, NEVER, {ends = ends})
      elseif used + need > cap then
        refuse(i, limit, left, max(1, ends - wall + 1), {ends = ends, at_end = true})
      else
        refuse(i, limit, left, 1000, {ends = ends})
      end
    end
  end
end

local read, step = {}, 0
for i = 1, #scopes do
  local at, given = read_scope(KEYS[3 + i], owner), scopes[i]
  read[i], step = at, max(step, at.step)
  local rps, burst, tps = given[5], given[6], given[7]
  if rps > 0 then at.starts = fullness(at, 1, burst, rps) end
  if tps > 0 then at.inputs = fullness(at, 2, tps, tps) end
  if not forced then
    check_minute(i, at, 1, given[2], at.s.q, 1)
    check_minute(i, at, 2, given[3], at.s.t, tokens)
    if given[4] > 0 and at.s.c + 1 > given[4] then
      refuse(i, 3, given[4] - at.s.c, 1000)
    end
    if at.starts then check_bucket(i, 4, at.starts, 1, burst, rps) end
    if at.inputs then check_bucket(i, 5, at.inputs, input, tps, tps) end
    for _, each in ipairs(given[9]) do check_period(i, at, each) end
  end
end

if worst.scope then
  for i = 1, #scopes do
    if read[i].dirty then save(read[i], scopes[i][8]) end
  end
  return {0, worst.scope, worst.limit, worst.left, told_wait(worst),
    worst.resets or worst.ends or 0}
end

local requests_limit, requests_left, tokens_limit, tokens_left = 0, NEVER, 0, NEVER
local warned, lefts, ids = {}, {}, {}

local function reserve(i, at, given)
  local id = period_id(at.s, given[1], began)
  if id ~= given[1] then
    ids[i] = ids[i] or {}
    ids[i][given[1]] = id
  end
  local p, caps, marks, number = period(at.s, id), given[3], given[4], given[5]
  local needs = {1, tokens, nusd}
  local held = at.o.p[id]
  if not held then
    held = {0, 0, 0}
    at.o.p[id] = held
  end
  for unit = 1, 3 do
    p[3 + unit] = p[3 + unit] + needs[unit]
    held[unit] = held[unit] + needs[unit]
    local cap, used, bit_of = caps[unit], p[unit], 2 ^ (unit - 1)
    if cap >= 0 then
      lefts[#lefts + 1] = cap - used - p[3 + unit]
      if used >= marks[unit] and floor(p[7] / bit_of) % 2 == 0 then
        p[7] = p[7] + bit_of
        for _, value in ipairs({i, number, unit, used, cap}) do
          warned[#warned + 1] = value
        end
      end
    end
  end
end

for i = 1, #scopes do
  local at, given = read[i], scopes[i]
  local s, rpm, tpm = at.s, given[2], given[3]
  at.step = step
  count_now(at, 1, tokens)
  s.c = s.c + 1
  at.o = at.o or {c = 0, p = {}}
  at.o.c = at.o.c + 1
  if at.starts then s.f1, s.g1 = at.starts - 1, now end
  if at.inputs then s.f2, s.g2 = at.inputs - input, now end
  for _, each in ipairs(given[9]) do reserve(i, at, each) end
  if rpm > 0 and rpm - s.q < requests_left then
    requests_limit, requests_left = rpm, rpm - s.q
  end
  if tpm > 0 and tpm - s.t < tokens_left then
    tokens_limit, tokens_left = tpm, tpm - s.t
  end
  save(at, given[8])
end
call('HSET', KEYS[3], lease, record(step, began, tokens, tokens, nusd, ARGV[5], ids))
local answer = {1, step, requests_limit, max(0, requests_left), tokens_limit,
  max(0, tokens_left), ceil((step + STEPS) * STEP_MS - now)}
for _, value in ipairs(warned) do answer[#answer + 1] = value end
if ARGV[4] == '1' then answer[#answer + 1] = pack(lefts) end
return answer
