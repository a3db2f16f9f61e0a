--[[
  Tells what is known of leases. Changes nothing.

  KEYS[1] deadlines: sorted set, member -> deadline in milliseconds since the epoch
  KEYS[2] fences: hash, member -> fence
  ARGV    member, member, ...

  Answers fence, deadline; fence, deadline; ... with nil, nil for unknown members.
]]
local known = {}
for i = 1, #ARGV do
  known[#known + 1] = redis.call('HGET', KEYS[2], ARGV[i])
  known[#known + 1] = redis.call('ZSCORE', KEYS[1], ARGV[i])
end
return known
