std = "lua54"
max_line_length = 150

include_files = { "lua/**/*.lua", "recipes/**/*.lua", "tests/**/*.lua", ".luacheckrc" }

-- Declarations of what is in C: functions without bodies.
files["lua/banger/meta"] = { unused_args = false, ignore = { "241" } }

files["tests/spec"] = { std = "+busted" }
files["tests/**/*_spec.lua"] = { std = "+busted" }
