--[[
  Puts rows of features, each only where it wins over the row that is there: the first 24 bytes of
  a row are its event time, created time and write sequence as big-endian doubles, and the first of
  them that differs decides. A row whose time to be forgotten is past by this server's clock is left out.

  KEYS     one for each row; the same key may be there twice
  ARGV[1]  for each row its length (32 bits), its time to be forgotten (a double, milliseconds since
           the epoch, or 0 for never) and the row itself, all in one text: with an argument for each
           of them, sending and reading the arguments would cost more than all the rest
]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local rows = ARGV[1]

-- Whether the row at `at` of `rows` wins over the one at `known_at` of `known`.
local function wins(at, known, known_at)
  if #known < known_at + 23 then return true end
  local event, created, sequence = struct.unpack('>ddd', rows, at)
  local known_event, known_created, known_sequence = struct.unpack('>ddd', known, known_at)
  if event ~= known_event then return event > known_event end
  if created ~= known_created then return created > known_created end
  return sequence > known_sequence
end

local winners, places, lengths, forgets = {}, {}, {}, {}
local at = 1
for i = 1, #KEYS do
  local key = KEYS[i]
  local length, forget, row_at = struct.unpack('<I4d', rows, at)
  places[i], lengths[i], forgets[i] = row_at, length, forget
  at = row_at + length
  if forget == 0 or forget > now then
    local winner = winners[key]
    if winner then
      if wins(row_at, rows, places[winner]) then winners[key] = i end
    elseif wins(row_at, redis.call('GETRANGE', key, 0, 23), 1) then
      winners[key] = i
    end
  end
end

-- What is kept for good is written by one command: each call out of a script has its price.
local kept = {}
for i = 1, #KEYS do
  local key = KEYS[i]
  if winners[key] == i then
    local row = string.sub(rows, places[i], places[i] + lengths[i] - 1)
    if forgets[i] == 0 then
      kept[#kept + 1] = key
      kept[#kept + 1] = row
    else
      redis.call('SET', key, row, 'PXAT', string.format('%.0f', forgets[i]))
    end
  end
end
if #kept > 0 then redis.call('MSET', unpack(kept)) end
