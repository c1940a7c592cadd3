---Words for a shell: pure.
local M = {}

---Words as a shell takes them.
---@param words string[]
---@return string
---@example
---```lua
---shell.quote { "echo", "it's" } --> "echo 'it'\\''s'"
---```
function M.quote(words)
  local quoted = {}
  for i, word in ipairs(words) do
    quoted[i] = word:find "^[%w@%%+=:,./_%-]+$" and word or "'" .. word:gsub("'", "'\\''") .. "'"
  end
  return table.concat(quoted, " ")
end

return M
