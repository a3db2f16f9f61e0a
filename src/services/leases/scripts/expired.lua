--[[
  Finds leases whose deadline is past by this server's clock, oldest first. Changes nothing.

  KEYS[1] deadlines: sorted set, member -> deadline in milliseconds since the epoch
  KEYS[2] fences: hash, member -> fence
  ARGV[1] limit

  Answers member, fence, deadline; member, fence, deadline; ...
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local past = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
local found = {}
for i = 1, #past, 2 do
  found[#found + 1] = past[i]
  found[#found + 1] = redis.call('HGET', KEYS[2], past[i])
  found[#found + 1] = past[i + 1]
end
return found
