"""Define the Lua scripts of the Redis store; each runs as one step on the server.

Theory of operation. A run is a hash and a stream. The hash `run:KEY` has `attempt`, `token`, `next`
(the number of the next entry), `count` and `size` of what is kept, `lease` and, after the end mark,
`ended`. The stream `log:KEY` has an entry for each pack of lines that were written together: its id
is the id of the first line, its field `n` their number, its field `l` the lines with LF between
them. The hash `checkpoint:KEY` is the newest checkpoint. Two sorted sets find runs by time: `live`
by the end of the lease, `ended` by the end.

- A command may run twice: a connection can break after the server ran it and before the answer
  came. A writer sends the number of its first entry, so that `append` knows what it has added, and
  `begin` knows its own token.
- The time is that of the server, since clocks of several machines differ. `ARGV[1]` is another time
  in tests.
- All keys of a log share one hash tag, so that they are on one node of a cluster: the scripts read
  and drop keys whose names they make.
"""

from __future__ import annotations

from rxagents.runtime.event_log.log_store import LEASE_SECONDS

_COMMON = (
    f"""
local run, log, live, ended, checkpoint = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local LEASE = {LEASE_SECONDS}
"""
    + """
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] + time[2] / 1000000
end
local key = ARGV[2]

local function stamp(seconds)
  return string.format('%.6f', seconds)
end

local function extend()
  redis.call('HSET', run, 'lease', stamp(now + LEASE))
  redis.call('ZADD', live, stamp(now + LEASE), key)
end

local function set_end(age)
  redis.call('HSET', run, 'ended', stamp(now))
  redis.call('ZREM', live, key)
  redis.call('ZADD', ended, stamp(now), key)
  if age ~= '' then
    redis.call('PEXPIRE', run, math.ceil(age * 1000))
    redis.call('PEXPIRE', log, math.ceil(age * 1000))
    redis.call('PEXPIRE', checkpoint, math.ceil(age * 1000))
  end
end

local function interrupt(attempt, mark)
  attempt = attempt + 1
  redis.call('XADD', log, attempt .. '-1', 'n', 1, 'l', mark)
  redis.call('HINCRBY', run, 'count', 1)
  redis.call('HINCRBY', run, 'size', #mark)
  redis.call('HSET', run, 'attempt', attempt, 'token', '', 'next', 2)
  return attempt
end
"""
)

_BEGIN = """
local token, mark, age, runs, prefix = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local function drop(names)
  for _, name in ipairs(names) do
    redis.call('DEL', prefix .. 'run:' .. name, prefix .. 'log:' .. name)
    redis.call('DEL', prefix .. 'checkpoint:' .. name)
    redis.call('ZREM', ended, name)
  end
end

local h = redis.call('HMGET', run, 'attempt', 'token', 'ended', 'lease')
local attempt = tonumber(h[1] or '0')
if h[2] ~= token then
  if attempt > 0 and not h[3] then
    local rest = tonumber(h[4]) - now
    if rest > 0 then
      return {'busy', stamp(rest)}
    end
    attempt = interrupt(attempt, mark)
  end
  attempt = attempt + 1
  redis.call('HSET', run, 'attempt', attempt, 'token', token, 'next', 1)
  redis.call('HDEL', run, 'ended')
  redis.call('PERSIST', run)
  redis.call('PERSIST', log)
  redis.call('PERSIST', checkpoint)
  redis.call('ZREM', ended, key)
  extend()
  if age ~= '' then
    drop(redis.call('ZRANGEBYSCORE', ended, '-inf', '(' .. stamp(now - age), 'LIMIT', 0, 100))
  end
  if runs ~= '' then
    local excess = redis.call('ZCARD', live) + redis.call('ZCARD', ended) - runs
    if excess > 0 then
      drop(redis.call('ZRANGE', ended, 0, math.min(excess, 100) - 1))
    end
  end
end
local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
return {'ok', attempt, last and string.match(last[2][4], '([^\\n]*)$') or ''}
"""

_APPEND = """
local token, first, ends, age = ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local most, largest = tonumber(ARGV[7]), tonumber(ARGV[8])
local h = redis.call('HMGET', run, 'token', 'ended', 'next', 'attempt', 'count', 'size')
if h[1] ~= token then
  return 'refused'
end
local next, count, size = tonumber(h[3]), tonumber(h[5] or '0'), tonumber(h[6] or '0')
local total = 0
for i = 9, #ARGV, 2 do
  total = total + ARGV[i]
end
if next == first + total then
  return 'ok'
end
if h[2] or next ~= first then
  return 'refused'
end
for i = 9, #ARGV, 2 do
  redis.call('XADD', log, h[4] .. '-' .. next, 'n', ARGV[i], 'l', ARGV[i + 1])
  next = next + ARGV[i]
  size = size + #ARGV[i + 1]
end
count = count + total
while (most and count > most) or (largest and size > largest) do
  local packs = redis.call('XRANGE', log, '-', '+', 'COUNT', 2)
  if not packs[2] then
    break
  end
  count = count - packs[1][2][2]
  size = size - #packs[1][2][4]
  redis.call('XTRIM', log, 'MINID', packs[2][1])
end
redis.call('HSET', run, 'next', next, 'count', count, 'size', size)
extend()
if ends == '1' then
  set_end(age)
end
return 'ok'
"""

_RENEW = """
local h = redis.call('HMGET', run, 'token', 'ended')
if h[1] ~= ARGV[3] or h[2] then
  return 'refused'
end
extend()
return 'ok'
"""

_SAVE = """
local h = redis.call('HMGET', run, 'token', 'ended', 'attempt', 'next')
if h[1] ~= ARGV[3] or h[2] then
  return 'refused'
end
redis.call('HSET', checkpoint, 'attempt', h[3], 'seq', h[4] - 1, 'data', ARGV[4])
extend()
return 'ok'
"""

_SAVED = "return redis.call('HMGET', checkpoint, 'attempt', 'seq', 'data')"

_READ = """
local attempt, seq, age = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local limit = tonumber(ARGV[6])
local h = redis.call('HMGET', run, 'attempt', 'ended', 'lease', 'next')
if not h[1] or (h[2] and age ~= '' and h[2] + age < now) then
  return {'none'}
end

local function place(pack)
  local a, s = string.match(pack[1], '(%d+)-(%d+)')
  return tonumber(a), tonumber(s)
end

local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
local function gone()
  return {'gone', oldest and oldest[1] or h[1] .. '-' .. h[4]}
end

local start = '(' .. attempt .. '-' .. seq
if attempt == 0 then
  start = '-'
  if oldest then
    local a, s = place(oldest)
    if s ~= 1 and a == tonumber(h[1]) then
      return gone()
    elseif s ~= 1 then
      start = (a + 1) .. '-1'
    end
  end
elseif attempt ~= tonumber(h[1]) or seq + 1 ~= tonumber(h[4]) then
  local range = attempt .. '-' .. (seq + 1)
  local pack = redis.call('XREVRANGE', log, range, '-', 'COUNT', 1)[1]
  if not pack then
    return gone()
  end
  local a, s = place(pack)
  local last = s + pack[2][2] - 1
  if a ~= attempt or last < seq then
    return gone()
  end
  start = pack[1]
end

local packs, lines = {}, 0
local found = redis.call('XRANGE', log, start, '+', 'COUNT', 65)
for i, pack in ipairs(found) do
  if i > 64 or lines > limit + 64 then
    break
  end
  packs[#packs + 1] = {pack[1], pack[2][4]}
  lines = lines + pack[2][2]
end
local state = 'lost'
if #packs < #found then
  state = 'more'
elseif h[2] then
  state = 'ended'
elseif tonumber(h[3]) > now then
  state = 'live'
end
return {'ok', state, packs}
"""

_INTERRUPT = """
local mark, age = ARGV[3], ARGV[4]
local h = redis.call('HMGET', run, 'attempt', 'ended', 'lease')
if not h[1] or h[2] or tonumber(h[3]) > now then
  return 0
end
interrupt(tonumber(h[1]), mark)
set_end(age)
return 1
"""

_LOST = "return redis.call('ZRANGEBYSCORE', live, '-inf', stamp(now))"

_FORGET = """
redis.call('DEL', run, log, checkpoint)
redis.call('ZREM', live, key)
redis.call('ZREM', ended, key)
return 'ok'
"""

SCRIPTS = {
    "begin": _COMMON + _BEGIN,
    "append": _COMMON + _APPEND,
    "renew": _COMMON + _RENEW,
    "save": _COMMON + _SAVE,
    "saved": _COMMON + _SAVED,
    "read": _COMMON + _READ,
    "interrupt": _COMMON + _INTERRUPT,
    "lost": _COMMON + _LOST,
    "forget": _COMMON + _FORGET,
}
