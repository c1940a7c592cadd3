std = "lua54"
max_line_length = 150

stds.banger_recipe = dofile "lua/banger/meta/luacheck.lua"
files["recipes/images"] = { std = "lua54+banger_recipe" }

include_files = { "lua/**/*.lua", "recipes/**/*.lua", "tests/**/*.lua", ".luacheckrc" }

-- Declarations of what is in C: functions without bodies.
files["lua/banger/meta"] = { unused_args = false, ignore = { "241" } }
files["lua/banger/meta/image_recipe.lua"] = { std = "lua54+banger_recipe", ignore = { "121" } }

files["tests/spec"] = { std = "+busted" }
files["tests/**/*_spec.lua"] = { std = "+busted" }
