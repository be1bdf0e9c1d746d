"""Define the Lua scripts of the limiter in Redis; `redis_limiter_rules` explains them."""

from __future__ import annotations

from rxagents.storage.redis_limiter_rules import RULES

_JOIN = """
local number, key, tokens, lease = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local opener, rates = ARGV[7], ARGV[8]
if not stored or (opener ~= '' and s.opener ~= opener) then
  change(cmsgpack.unpack(rates))
  s.opener = opener
end
local has_place = redis.call('HEXISTS', WAITING .. holder, number) == 1 or permit()
if not has_place then
  s.seq = s.seq + 1
  local entry = key .. ':' .. string.format('%016.0f', s.seq) .. ':' .. holder .. ':' .. number
  redis.call('HSET', WAITING .. holder, number, cmsgpack.pack({key, entry, tokens}))
  redis.call('ZADD', LINE, 0, entry)
  if not redis.call('ZSCORE', TURNS, key) then
    s.turn = s.turn + 1
    redis.call('ZADD', TURNS, s.turn, key)
  end
end
renew(lease)
local granted = pump(true)
if has_place and permit() then
  table.insert(granted, number)
end
return granted
"""

_TICK = """
local lease, waits, repeats = ARGV[3], ARGV[4] == '1', ARGV[5] == '1'
if not redis.call('ZSCORE', HOLDERS, holder) then
  return false
end
renew(lease)
if repeats then
  s.due = 0
end
local granted = pump(waits)
return repeats and redis.call('HKEYS', PERMITS .. holder) or granted
"""

_IF_STORED = """
if not stored then -- the server has lost its data: a `join` brings the limits
  return {}
end
"""

_LEAVE = """
local taken = permit()
if taken then
  settle(holder, ARGV[3], taken, 0)
  put_back(s.r, 1)
end
remove(holder, ARGV[3])
return pump(false)
"""

_SETTLE = """
local taken = permit()
if taken then
  settle(holder, ARGV[3], taken, tonumber(ARGV[4]))
end
return pump(false)
"""

_LEARN = """
local taken = permit()
if taken then
  local elapsed = math.max(0, now - taken[1])
  local later = {r = s.sent - taken[3], t = s.sent_tokens - taken[4]}
  for index, name in ipairs({'r', 't'}) do
    local b, known = s[name], tonumber(ARGV[2 + 2 * index])
    local left = tonumber(ARGV[3 + 2 * index])
    if known and known > 0 then
      set_limit(b, 'known', known)
    end
    if left then
      advance(b)
      b.level = math.min(b.level, left - later[name] + elapsed * rate(b))
    end
  end
end
return pump(false)
"""

_REFUSED = """
local wait = tonumber(ARGV[3])
if wait then
  s.held = math.max(s.held, now + wait)
elseif limit(s.r) then
  advance(s.r)
  s.r.level = math.min(s.r.level, 0)
end
return pump(false)
"""

_CHANGE = """
local rates = {
  requests_per_minute = s.r.own, tokens_per_minute = s.t.own,
  concurrent = s.concurrent, burst = s.burst,
}
if not stored then
  rates = cmsgpack.unpack(ARGV[3])
  s.opener = ARGV[4]
end
for index = 5, #ARGV, 2 do
  rates[ARGV[index]] = tonumber(ARGV[index + 1])
end
change(rates)
return pump(false)
"""

_STATE = """
if not stored then
  change(cmsgpack.unpack(ARGV[3]))
end
drop_silent()
local waiting = {}
for _, key in ipairs(redis.call('ZRANGE', TURNS, 0, -1)) do
  table.insert(waiting, key)
  table.insert(waiting, redis.call('ZLEXCOUNT', LINE, '[' .. key .. ':', '(' .. key .. ';'))
end
local tokens = 1
if waiting[1] then
  local owner, number = string.match(first_of_key(waiting[1]), '([^:]*):([^:]*)$')
  tokens = cmsgpack.unpack(redis.call('HGET', WAITING .. owner, number))[3]
end
local wait = rules_wait(tokens)
local levels = {}
for index, name in ipairs({'r', 't'}) do
  advance(s[name])
  levels[index] = limit(s[name]) and text(math.floor(s[name].level)) or ''
end
save()
return {waiting, s.in_flight, levels[1], levels[2], text(wait)}
"""

SCRIPTS = {
    "join": RULES + _JOIN,
    "tick": RULES + _TICK,
    "leave": RULES + _IF_STORED + _LEAVE,
    "settle": RULES + _IF_STORED + _SETTLE,
    "learn": RULES + _IF_STORED + _LEARN,
    "refused": RULES + _IF_STORED + _REFUSED,
    "change": RULES + _CHANGE,
    "state": RULES + _STATE,
}
