---The environment our own modules and recipes run in: reading or writing a
---global that nobody declared is an error there, because it is a slip of the
---pen. Scripts of users run in plain `_G` and notice nothing of this.
return setmetatable({}, {
  __index = function(_, name)
    local value = _G[name]
    if value == nil then
      error(("undeclared global '%s' is read"):format(tostring(name)), 2)
    end
    return value
  end,
  __newindex = function(_, name)
    error(("undeclared global '%s' is written"):format(tostring(name)), 2)
  end,
})
