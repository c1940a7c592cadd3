---Words for the kernel's command line, as recipes say them and images remember them. Pure.
local M = {}

M.LIMIT = 1024 -- bytes of all words, with a blank each; the kernel itself takes 2048 on x86

---Whether a text is one word: printable ASCII without blanks, and without quotes, which
---monitors and boot loaders do not agree on.
---@param text any
---@return boolean
function M.is_word(text)
  return type(text) == "string" and text:find "^[!#-~]+$" ~= nil
end

---The words of a text.
---@param text any
---@return string[]?
---@return string? message
---@example
---```lua
---kernel_words.parse "quiet panic=-1"  --> { "quiet", "panic=-1" }
---```
function M.parse(text)
  if type(text) ~= "string" then
    return nil, ("words for the kernel's command line expected, not a %s"):format(type(text))
  end
  local words, size = {}, 0
  for word in text:gmatch "[^ ]+" do
    if not M.is_word(word) then
      return nil, ("'%s' is no word for the kernel's command line: printable ASCII without quotes expected"):format(word)
    end
    words[#words + 1], size = word, size + #word + 1
  end
  if size > M.LIMIT then
    return nil, ("the words for the kernel's command line have %d bytes; at most %d are accepted"):format(size, M.LIMIT)
  end
  return words
end

return M
