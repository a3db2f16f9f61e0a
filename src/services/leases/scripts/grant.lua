--[[
  Remembers leases, each until `ttl` milliseconds from now by this server's clock. A lease already
  known under a higher fence stays as it is: a late grant never replaces a newer one.

  KEYS[1] deadlines: sorted set, member -> deadline in milliseconds since the epoch
  KEYS[2] fences: hash, member -> fence
  ARGV    member, fence, ttl; member, fence, ttl; ...

  Answers the new deadline of each member, or nil where a higher fence is known, in the order given.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local deadlines = {}
for i = 1, #ARGV, 3 do
  local member, fence = ARGV[i], ARGV[i + 1]
  local known = redis.call('HGET', KEYS[2], member)
  if known and tonumber(known) > tonumber(fence) then
    deadlines[#deadlines + 1] = false
  else
    local deadline = now + ARGV[i + 2]
    redis.call('HSET', KEYS[2], member, fence)
    redis.call('ZADD', KEYS[1], deadline, member)
    deadlines[#deadlines + 1] = deadline
  end
end
return deadlines
