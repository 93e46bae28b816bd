-- One word to a lane of the shared pace: the rules of `rules.hear`, alone and whole.
-- KEYS[1] is the lane. ARGV[1] is the word as JSON; ARGV[2] the time in seconds, or "" for the
-- server's clock, which is everybody's. Replies with the answer as JSON.
local word = cjson.decode(ARGV[1])
local rule = word.rules
local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local stored = redis.call('GET', KEYS[1])
local lane = stored and cmsgpack.unpack(stored) or {
  next_at = 0, slowness = 1, paused_until = 0,
  streak = 0, issued = 0, turns = 0, free_at = 0, seen = now, members = {},
}

local function gap()
  return word.gap * lane.slowness
end

-- A clock that was put back would hold everybody up, and make leases endless.
local function shift(by)
  lane.next_at = lane.next_at + by
  lane.paused_until = lane.paused_until + by
  lane.free_at = lane.free_at + by
  for _, member in pairs(lane.members) do
    member['until'] = member['until'] + by
  end
end

local function told()
  if word.unused ~= 0 and word.unused == lane.turns then
    lane.next_at = math.max(lane.paused_until, lane.next_at - gap())
  end
  if word.late > 0 then
    lane.next_at = math.max(now, lane.next_at) + math.min(word.late, gap())
  end
  if word.pause >= 0 then
    local till = math.max(lane.paused_until, now + word.pause)
    if now >= lane.paused_until then
      lane.slowness = math.min(rule.slowest, lane.slowness * 2)
    end
    lane.next_at = math.max(lane.next_at, till)
    lane.paused_until = till
  end
end

local function noted()
  for name, member in pairs(lane.members) do
    if member['until'] <= now then
      lane.members[name] = nil
    end
  end
  local before = lane.members[word.member] or { 0, 0 }
  lane.members[word.member] = nil
  if word.busy == 0 and word.wants[1] == 0 and word.wants[2] == 0 then
    return
  end
  -- A ticket of 0 is none.
  local me = { ['until'] = now + rule.lease, busy = word.busy, before[1], before[2] }
  for p = 1, 2 do
    if word.wants[p] == 0 then
      me[p] = 0
    elseif me[p] == 0 then
      lane.issued = lane.issued + 1
      me[p] = lane.issued
    end
  end
  lane.members[word.member] = me
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
  for name, member in pairs(lane.members) do
    for p = 1, 2 do
      if member[p] ~= 0 then
        table.insert(lines[p], { ticket = member[p], name = name, priority = p })
      end
    end
  end
  for p = 1, 2 do
    table.sort(lines[p], function(a, b) return a.ticket < b.ticket end)
  end
  local at, streak, served = { 1, 1 }, lane.streak, {}
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

-- Take everybody out of line who did not come for a turn that was theirs before this member's.
local function drop_absent()
  local absent = {}
  for _, place in ipairs(order()) do
    if place.name == word.member then
      for name in pairs(absent) do
        lane.members[name][1], lane.members[name][2] = 0, 0
      end
      return
    end
    absent[place.name] = true
  end
end

local function again(full)
  for rank, place in ipairs(order()) do
    if place.name == word.member then
      local wait = math.max(0, lane.next_at - now) + (rank - 1) * gap()
      return full and math.max(wait, rule.slot_poll * rank) or wait
    end
  end
  return rule.never
end

local function grant(priority)
  local me = lane.members[word.member]
  if word.wants[priority] > 1 then
    lane.issued = lane.issued + 1
    me[priority] = lane.issued
  else
    me[priority] = 0
  end
  me.busy = me.busy + 1
  local batch = false
  for _, member in pairs(lane.members) do
    batch = batch or member[2] ~= 0
  end
  lane.streak = streak_after(lane.streak, priority, batch)
  lane.turns = lane.turns + 1
  local begun = math.max(now - word.slack, lane.next_at)
  if now - lane.next_at > rule.idle * word.slack then
    begun = now
  end
  lane.next_at = begun + gap()
  lane.slowness = math.max(1, lane.slowness * rule.recovery)
  return begun - now
end

if now < lane.seen then
  shift(now - lane.seen)
end
lane.seen = now
told()
noted()
local busy = 0
for _, member in pairs(lane.members) do
  busy = busy + member.busy
end
local full = busy >= word.concurrency
if full then
  lane.free_at = now
end
if now > math.max(lane.next_at, lane.free_at) + rule.overdue then
  drop_absent()
end

local answer = { granted = 0, turn = 0, start = 0 }
local first = order()[1]
local wait = math.max(0, lane.next_at - now)
if not full and first and first.name == word.member and wait <= word.early then
  answer.granted = first.priority
  answer.start = grant(first.priority)
  answer.turn = lane.turns
  busy = busy + 1
  full = busy >= word.concurrency
  if full then
    lane.free_at = now
  end
end
answer.again = again(full)
answer.scarce = 2 * busy >= word.concurrency

local kept = math.max(rule.kept, lane.next_at - now + rule.kept)
redis.call('SET', KEYS[1], cmsgpack.pack(lane), 'PX', math.ceil(kept * 1000))
return cjson.encode(answer)
