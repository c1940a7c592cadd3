---Which word was meant.

local BEYOND = math.maxinteger

-- One row of the table of distances. `before` and `before2` are the rows of the bytes
-- before this one.
local function next_row(a, b, i, before, before2)
  local row = { [0] = i }
  for j = 1, #b do
    local same = a:byte(i) == b:byte(j)
    local best = math.min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (same and 0 or 1))
    if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
      best = math.min(best, before2[j - 2] + 1)
    end
    row[j] = best
  end
  return row
end

-- Insertions, deletions, replacements and swaps of neighbours from a to b; BEYOND when
-- the lengths alone say more than the limit.
local function distance(a, b, limit)
  if math.abs(#a - #b) > limit then
    return BEYOND
  end
  local before, before2 = {}, nil
  for j = 0, #b do
    before[j] = j
  end
  for i = 1, #a do
    before, before2 = next_row(a, b, i, before, before2), before
  end
  return before[#b]
end

---The candidate that a mistyped word is nearest to. At most a third of the word's
---bytes may differ; of equally near ones the first counts.
---@param word string
---@param candidates string[]
---@return string? # nil when none is near
---@example
---```lua
---nearest("hostnmae", { "hosts", "hostname" })  --> "hostname"
---```
return function(word, candidates)
  local limit = #word // 3
  local found, least = nil, limit + 1
  for _, candidate in ipairs(candidates) do
    local far = distance(word, candidate, limit)
    if far < least then
      found, least = candidate, far
    end
  end
  return found
end
