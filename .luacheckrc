std = "lua54"
max_line_length = 150

-- What an image recipe has besides Lua's: its keys, and a few functions.
stds.banger_recipe = {
  read_globals = { "banger", "note", "var" },
  globals = {
    "after_flatten", "after_mkext4", "after_plan", "after_resolve", "agent", "autologin", "before_mkext4", "cmdline", "command",
    "debugfs", "description", "enable", "environment", "free", "guest", "hostname", "init", "inject", "label", "mask", "match",
    "overlay", "platform", "remove", "size", "stop_signal", "stop_timeout", "use", "user", "users", "workdir",
  },
}
files["recipes/images"] = { std = "lua54+banger_recipe" }

include_files = { "lua/**/*.lua", "recipes/**/*.lua", "tests/**/*.lua", ".luacheckrc" }

-- Declarations of what is in C: functions without bodies.
files["lua/banger/meta"] = { unused_args = false, ignore = { "241" } }

files["tests/spec"] = { std = "+busted" }
files["tests/**/*_spec.lua"] = { std = "+busted" }
