--[[
  Forgets leases known under exactly the given fence. A late release never ends a newer lease.

  KEYS[1] deadlines: sorted set, member -> deadline in milliseconds since the epoch
  KEYS[2] fences: hash, member -> fence
  ARGV    member, fence; member, fence; ...

  Answers how many were forgotten.
]]
local forgotten = 0
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[2], ARGV[i]) == ARGV[i + 1] then
    redis.call('HDEL', KEYS[2], ARGV[i])
    redis.call('ZREM', KEYS[1], ARGV[i])
    forgotten = forgotten + 1
  end
end
return forgotten
