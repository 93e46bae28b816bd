-- One word to a bucket of the shared limiter: the rules of `rules.hear`, alone and whole.
-- KEYS[1] is the bucket. ARGV[1] is the word as JSON; ARGV[2] the time in seconds, or "" for the
-- server's clock, which is everybody's. Replies with the answer as JSON.
local word = cjson.decode(ARGV[1])
local rule = word.rules
local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local stored = redis.call('GET', KEYS[1])
local bucket = stored and cmsgpack.unpack(stored) or {
  next_at = 0, slowness = 1, paused_until = 0,
  streak = 0, issued = 0, permits = 0, free_at = 0, seen = now, members = {},
}

local function gap()
  return word.gap * bucket.slowness
end

-- A clock that was put back would hold everybody up, and make leases endless.
local function shift(by)
  bucket.next_at = bucket.next_at + by
  bucket.paused_until = bucket.paused_until + by
  bucket.free_at = bucket.free_at + by
  for _, member in pairs(bucket.members) do
    member['until'] = member['until'] + by
  end
end

local function told()
  if word.unused ~= 0 and word.unused == bucket.permits then
    bucket.next_at = math.max(bucket.paused_until, bucket.next_at - gap())
  end
  if word.late > 0 then
    bucket.next_at = math.max(now, bucket.next_at) + math.min(word.late, gap())
  end
  if word.pause >= 0 then
    local till = math.max(bucket.paused_until, now + word.pause)
    if now >= bucket.paused_until then
      bucket.slowness = math.min(rule.slowest, bucket.slowness * 2)
    end
    bucket.next_at = math.max(bucket.next_at, till)
    bucket.paused_until = till
  end
end

local function noted()
  for name, member in pairs(bucket.members) do
    if member['until'] <= now then
      bucket.members[name] = nil
    end
  end
  local before = bucket.members[word.member] or { 0, 0 }
  bucket.members[word.member] = nil
  if word.busy == 0 and word.wants[1] == 0 and word.wants[2] == 0 then
    return
  end
  -- A ticket of 0 is none.
  local me = { ['until'] = now + rule.lease, busy = word.busy, before[1], before[2] }
  for p = 1, 2 do
    if word.wants[p] == 0 then
      me[p] = 0
    elseif me[p] == 0 then
      bucket.issued = bucket.issued + 1
      me[p] = bucket.issued
    end
  end
  bucket.members[word.member] = me
end

local function choose(streak, interactive, batch)
  if interactive and not (batch and streak >= rule.batch_share) then
    return 1
  end
  return batch and 2 or nil
end

local function streak_after(streak, taken, batch)
  return (taken == 1 and batch) and streak + 1 or 0
end

-- Who waits, in the order in which they will be served.
local function order()
  local lines = { {}, {} }
  for name, member in pairs(bucket.members) do
    for p = 1, 2 do
      if member[p] ~= 0 then
        table.insert(lines[p], { ticket = member[p], name = name, priority = p })
      end
    end
  end
  for p = 1, 2 do
    table.sort(lines[p], function(a, b) return a.ticket < b.ticket end)
  end
  local at, streak, served = { 1, 1 }, bucket.streak, {}
  while true do
    local p = choose(streak, lines[1][at[1]] ~= nil, lines[2][at[2]] ~= nil)
    if not p then
      return served
    end
    table.insert(served, lines[p][at[p]])
    at[p] = at[p] + 1
    streak = streak_after(streak, p, lines[2][at[2]] ~= nil)
  end
end

-- Take everybody out of line who did not come for a permit that was theirs before this member's.
local function drop_absent()
  local absent = {}
  for _, place in ipairs(order()) do
    if place.name == word.member then
      for name in pairs(absent) do
        bucket.members[name][1], bucket.members[name][2] = 0, 0
      end
      return
    end
    absent[place.name] = true
  end
end

local function again(full)
  for rank, place in ipairs(order()) do
    if place.name == word.member then
      local wait = math.max(0, bucket.next_at - now) + (rank - 1) * gap()
      return full and math.max(wait, rule.slot_poll * rank) or wait
    end
  end
  return rule.never
end

local function grant(priority)
  local me = bucket.members[word.member]
  if word.wants[priority] > 1 then
    bucket.issued = bucket.issued + 1
    me[priority] = bucket.issued
  else
    me[priority] = 0
  end
  me.busy = me.busy + 1
  local batch = false
  for _, member in pairs(bucket.members) do
    batch = batch or member[2] ~= 0
  end
  bucket.streak = streak_after(bucket.streak, priority, batch)
  bucket.permits = bucket.permits + 1
  local begun = math.max(now - word.slack, bucket.next_at)
  if now - bucket.next_at > rule.idle * word.slack then
    begun = now
  end
  bucket.next_at = begun + gap()
  bucket.slowness = math.max(1, bucket.slowness * rule.recovery)
  return begun - now
end

if now < bucket.seen then
  shift(now - bucket.seen)
end
bucket.seen = now
told()
noted()
local busy = 0
for _, member in pairs(bucket.members) do
  busy = busy + member.busy
end
local full = busy >= word.concurrency
if full then
  bucket.free_at = now
end
if now > math.max(bucket.next_at, bucket.free_at) + rule.overdue then
  drop_absent()
end

local answer = { granted = 0, permit = 0, start = 0 }
local first = order()[1]
local wait = math.max(0, bucket.next_at - now)
if not full and first and first.name == word.member and wait <= word.early then
  answer.granted = first.priority
  answer.start = grant(first.priority)
  answer.permit = bucket.permits
  busy = busy + 1
  full = busy >= word.concurrency
  if full then
    bucket.free_at = now
  end
end
answer.again = again(full)
answer.scarce = 2 * busy >= word.concurrency

local kept = math.max(rule.kept, bucket.next_at - now + rule.kept)
redis.call('SET', KEYS[1], cmsgpack.pack(bucket), 'PX', math.ceil(kept * 1000))
return cjson.encode(answer)
