--[[
  Puts rows of features, each only where it wins over the row that is there: the first 24 bytes of
  a row are its event time, created time and write sequence as big-endian doubles, and the first of
  them that differs decides. A row whose time to be forgotten is past by this server's clock is left out.

  KEYS    one for each row
  ARGV    row, time to be forgotten (milliseconds since the epoch, or empty); row, time; ...
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function wins(row, known)
  if #known < 24 then return true end
  local event, created, sequence = struct.unpack('>ddd', row)
  local known_event, known_created, known_sequence = struct.unpack('>ddd', known)
  if event ~= known_event then return event > known_event end
  if created ~= known_created then return created > known_created end
  return sequence > known_sequence
end

for i = 1, #KEYS do
  local key, row, forget = KEYS[i], ARGV[2 * i - 1], ARGV[2 * i]
  if (forget == '' or tonumber(forget) > now) and wins(row, redis.call('GETRANGE', key, 0, 23)) then
    if forget == '' then
      redis.call('SET', key, row)
    else
      redis.call('SET', key, row, 'PXAT', forget)
    end
  end
end
