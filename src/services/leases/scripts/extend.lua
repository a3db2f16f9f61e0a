--[[
  Moves the deadlines of leases known under exactly the given fence to `ttl` milliseconds from now,
  past ones too. What is known under another fence, or not at all, stays as it is.

  KEYS[1] deadlines: sorted set, member -> deadline in milliseconds since the epoch
  KEYS[2] fences: hash, member -> fence
  ARGV    member, fence, ttl; member, fence, ttl; ...

  Answers the new deadline of each member, or nil, in the order given.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local deadlines = {}
for i = 1, #ARGV, 3 do
  local member = ARGV[i]
  if redis.call('HGET', KEYS[2], member) == ARGV[i + 1] then
    local deadline = now + ARGV[i + 2]
    redis.call('ZADD', KEYS[1], deadline, member)
    deadlines[#deadlines + 1] = deadline
  else
    deadlines[#deadlines + 1] = false
  end
end
return deadlines
