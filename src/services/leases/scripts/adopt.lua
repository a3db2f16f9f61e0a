--[[
  Remembers leases of which neither the given fence nor a higher one is known, each until `ttl`
  milliseconds from now by this server's clock.

  KEYS[1] deadlines: sorted set, member -> deadline in milliseconds since the epoch
  KEYS[2] fences: hash, member -> fence
  ARGV    member, fence, ttl; member, fence, ttl; ...

  Answers now; then fence, deadline; fence, deadline; ... as known then, in the order given.
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = { now }
for i = 1, #ARGV, 3 do
  local member = ARGV[i]
  local fence = redis.call('HGET', KEYS[2], member)
  local deadline = redis.call('ZSCORE', KEYS[1], member)
  if not fence or not deadline or tonumber(fence) < tonumber(ARGV[i + 1]) then
    fence = ARGV[i + 1]
    deadline = now + ARGV[i + 2]
    redis.call('HSET', KEYS[2], member, fence)
    redis.call('ZADD', KEYS[1], deadline, member)
  end
  known[#known + 1] = tonumber(fence)
  known[#known + 1] = tonumber(deadline)
end
return known
