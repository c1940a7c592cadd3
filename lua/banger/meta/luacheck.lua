-- What an image recipe has besides Lua's own, for luacheck: its keys, and a few functions. In
-- a .luacheckrc:
--
--     stds.banger_recipe = dofile "/usr/local/share/banger-lua/lua/banger/meta/luacheck.lua"
--     std = "lua54+banger_recipe"
--     unused_args = false -- of hooks
return {
  read_globals = { "banger", "note", "var" },
  globals = {
    "after_flatten", "after_mkext4", "after_plan", "after_resolve", "agent", "autologin", "before_mkext4", "cmdline", "command",
    "debugfs", "description", "enable", "environment", "free", "guest", "hostname", "init", "inject", "label", "mask", "match",
    "overlay", "platform", "remove", "size", "stop_signal", "stop_timeout", "use", "user", "users", "workdir",
  },
}
