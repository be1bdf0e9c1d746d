"""Define the rules of the limiter in Redis, in Lua.

Theory of operation. Each script runs as one step on the server. These are the rules of
`runtime/limiting` (`Bucket`, `Minute`, `RateRules`, `FairLine`, and `Limiter` with its `_pump`) a
second time, under the same names, since Redis is the only owner that outlives a `kill -9` of any
process. Two other ways were considered: a process as the owner needs an election, and its lost
state made again; the state as one value that each process changes grows with all that wait. A test
runs both on random requests, and compares each decision: whoever changes one changes the other.

- The state `s` is one value: the buckets `r` and `t`, the counts and the times. `turns` has the
  keys by their turn, `line` all who wait as `KEY:SEQ:HOLDER:NUMBER` in the order of the alphabet,
  `recent` and `counted` the requests of the last minute, `holders` the end of each lease. A holder
  is a process; `waiting:HOLDER` and `permits:HOLDER` have its requests by number.
- Each script ends with `pump`. The permits of the caller are in the answer. Other holders get a
  message in a channel of their own, with the numbers. A `tick` that `repeats` finds those whose
  message was lost.
- If the first in the line has to wait for a time, one holder is asked by a message to call `tick`
  then. It is one that waits, so that it listens: the caller, or the first in the line. `s.due` is
  when. Any call after that chooses anew, and so does each `tick` that repeats, which each holder
  that waits sends every second. So it does not matter if that holder is killed.
- A call may run twice: a connection can break after the server ran it and before the answer came.
  `join` does nothing for a number that waits or has a permit, the others for one that has none.
- The time is that of the server. `ARGV[1]` is another time in tests. A clock that was set back by
  less than a second stands still; after more than that, times in the future are forgotten.
"""

from __future__ import annotations

_LINGER_SECONDS = 3600
"""How long a limiter is kept after its last use."""

RULES = """
local SECONDS, MINUTE, EPSILON, LEAST_WAIT = 61, 60.5, 1e-6, 1e-6
local base, holder = KEYS[1], ARGV[2]
local TURNS, LINE, HOLDERS = base .. ':turns', base .. ':line', base .. ':holders'
local RECENT, COUNTED = base .. ':recent', base .. ':counted'
local WAITING, PERMITS = base .. ':waiting:', base .. ':permits:'

local function text(number)
  return string.format('%.17g', number)
end

local stored = redis.call('GET', base)
local s = stored and cmsgpack.unpack(stored) or {
  r = {level = 1}, t = {level = 1}, burst = 0.5, in_flight = 0, sent = 0, sent_tokens = 0,
  total = 0, held = 0, turn = 0, seq = 0, due = 0, last = 0,
}
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] + time[2] / 1000000
end
if now < s.last - 1 then
  s.held, s.due, s.total = 0, 0, 0
  redis.call('DEL', RECENT, COUNTED)
elseif now < s.last then
  now = s.last
end
s.last = now

local function limit(b)
  if b.own and b.known then
    return math.min(b.own, b.known)
  end
  return b.own or b.known
end

local function rate(b)
  return (limit(b) or 0) / SECONDS
end

local function capacity(b)
  return math.max(1, rate(b) * s.burst)
end

local function advance(b)
  local at = b.at
  b.at = now
  if at and now > at and b.level < capacity(b) then
    b.level = math.min(capacity(b), b.level + (now - at) * rate(b))
  end
end

local function wait_for(b, amount)
  if not limit(b) then
    return 0
  end
  advance(b)
  local lack = math.min(amount, capacity(b)) - b.level
  return lack <= EPSILON and 0 or lack / rate(b)
end

local function take(b, amount)
  if limit(b) then
    advance(b)
    b.level = b.level - amount
  end
end

local function put_back(b, amount)
  if limit(b) then
    advance(b)
    b.level = math.min(b.level + amount, math.max(b.level, limit(b)))
  end
end

local function set_limit(b, name, value)
  advance(b)
  local was_unlimited = not limit(b)
  b[name] = value
  b.level = was_unlimited and capacity(b) or math.min(b.level, capacity(b))
end

local function minute_wait(tokens)
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', RECENT, '-inf', text(now - MINUTE))) do
    s.total = s.total - (redis.call('HGET', COUNTED, old) or 0)
    redis.call('ZREM', RECENT, old)
    redis.call('HDEL', COUNTED, old)
  end
  local first = redis.call('ZRANGE', RECENT, 0, 0, 'WITHSCORES')
  if not first[1] or s.total + tokens <= limit(s.t) then
    return 0
  end
  return math.max(LEAST_WAIT, first[2] + MINUTE - now)
end

local function correct_minute(place, used)
  local counted = redis.call('HGET', COUNTED, place)
  if counted then
    s.total = s.total + used - counted
    redis.call('HSET', COUNTED, place, text(used))
  end
end

local function rules_wait(tokens)
  if s.concurrent and s.in_flight >= s.concurrent then
    return math.huge
  end
  local wait = math.max(0, s.held - now, wait_for(s.r, 1), wait_for(s.t, tokens))
  return limit(s.t) and math.max(wait, minute_wait(tokens)) or wait
end

local function change(rates)
  advance(s.r)
  advance(s.t)
  s.burst = rates.burst
  s.concurrent = rates.concurrent
  set_limit(s.r, 'own', rates.requests_per_minute)
  set_limit(s.t, 'own', rates.tokens_per_minute)
end

local function grant(place, owner, number, tokens)
  s.in_flight = s.in_flight + 1
  take(s.r, 1)
  take(s.t, tokens)
  s.sent = s.sent + 1
  s.sent_tokens = s.sent_tokens + tokens
  local taken = cmsgpack.pack({now, tokens, s.sent, s.sent_tokens})
  redis.call('HSET', PERMITS .. owner, number, taken)
  redis.call('EXPIRE', PERMITS .. owner, LINGER)
  if limit(s.t) then
    s.total = s.total + tokens
    redis.call('ZADD', RECENT, text(now), place)
    redis.call('HSET', COUNTED, place, text(tokens))
    redis.call('EXPIRE', RECENT, LINGER)
    redis.call('EXPIRE', COUNTED, LINGER)
  end
end

local function settle(owner, number, taken, used)
  redis.call('HDEL', PERMITS .. owner, number)
  s.in_flight = s.in_flight - 1
  if used then
    put_back(s.t, taken[2] - used)
    correct_minute(owner .. ':' .. number, used)
  end
end

local function first_of_key(key)
  return redis.call('ZRANGEBYLEX', LINE, '[' .. key .. ':', '(' .. key .. ';', 'LIMIT', 0, 1)[1]
end

local function remove(owner, number)
  local waiter = redis.call('HGET', WAITING .. owner, number)
  if waiter then
    local key, entry = unpack(cmsgpack.unpack(waiter))
    redis.call('HDEL', WAITING .. owner, number)
    redis.call('ZREM', LINE, entry)
    if not first_of_key(key) then
      redis.call('ZREM', TURNS, key)
    end
  end
end

local function drop_silent()
  for _, owner in ipairs(redis.call('ZRANGEBYSCORE', HOLDERS, '-inf', text(now))) do
    for _, number in ipairs(redis.call('HKEYS', WAITING .. owner)) do
      remove(owner, number)
    end
    for _, number in ipairs(redis.call('HKEYS', PERMITS .. owner)) do
      settle(owner, number)
    end
    redis.call('ZREM', HOLDERS, owner)
  end
end

local function permit()
  local taken = redis.call('HGET', PERMITS .. holder, ARGV[3])
  return taken and cmsgpack.unpack(taken)
end

local function save()
  redis.call('SET', base, cmsgpack.pack(s), 'EX', LINGER)
end

local function pump(waits)
  drop_silent()
  local granted, first, wait = {}, nil, math.huge
  while true do
    local key = redis.call('ZRANGE', TURNS, 0, 0)[1]
    if not key then
      break
    end
    local entry = first_of_key(key)
    local place, owner, number = string.match(entry, '^[^:]*:[^:]*:(([^:]*):([^:]*))$')
    local tokens = cmsgpack.unpack(redis.call('HGET', WAITING .. owner, number))[3]
    wait = rules_wait(tokens)
    if wait > 0 then
      first = owner
      break
    end
    s.turn = s.turn + 1
    redis.call('ZADD', TURNS, s.turn, key)
    remove(owner, number)
    grant(place, owner, number, tokens)
    granted[owner] = granted[owner] or {}
    table.insert(granted[owner], number)
  end
  for owner, numbers in pairs(granted) do
    if owner ~= holder then
      redis.call('PUBLISH', base .. ':' .. owner, table.concat(numbers, ' '))
    end
  end
  if first and wait < math.huge then
    -- The bucket holds `burst` seconds' worth, so that a short delay loses nothing.
    wait = math.max(wait, math.min(0.01, s.burst / 2))
    if s.due <= now or now + wait < s.due - 0.001 then
      s.due = now + wait
      redis.call('PUBLISH', base .. ':' .. (waits and holder or first), 'tick ' .. text(wait))
    end
  end
  save()
  return granted[holder] or {}
end

local function renew(lease)
  redis.call('ZADD', HOLDERS, text(now + lease), holder)
  local names = {TURNS, LINE, HOLDERS, RECENT, COUNTED, WAITING .. holder, PERMITS .. holder}
  for _, name in ipairs(names) do
    redis.call('EXPIRE', name, LINGER)
  end
end
""".replace("LINGER", str(_LINGER_SECONDS))
