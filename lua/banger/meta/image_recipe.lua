---@meta

-- What the globals of an image recipe are, for editors: see recipes/README.md. Keys are set,
-- hooks are defined.

---The API, as `require "banger"` gives it.
---@type banger
banger = {}

---Say something on stderr; `print` does so too.
---@param text any
---@example
---```lua
---note(("%d bytes are free"):format(tree:df().free))
---```
function note(text) end

---A variable that `-D NAME=VALUE` sets. What the default is decides what may be given: a
---number, true or false, a text.
---@generic T: string|number|boolean
---@param name string
---@param default T
---@param help? string # a line
---@return T
---@example
---```lua
---local port = var("port", 8080, "Where the server listens.")
---```
function var(name, default, help) end

---@class banger.recipe_injection # a file; one of content, append, file, dir and symlink at most
---@field content? string
---@field append? string # to what is there; where nothing is, to what a guest would get there
---@field file? string # of this machine, beside the recipe
---@field dir? string # of this machine: all that is in it
---@field symlink? string # its target
---@field mode? string # "0644"; a file that is there keeps its own
---@field owner? string # "root:web", "1000"; a file that is there keeps its own
---@field modes? table<string, string> # with dir: by path in the image, * is anything but a slash
---@field owners? table<string, string> # likewise

---@class banger.recipe_user
---@field name string
---@field uid? integer
---@field gid? integer
---@field groups? string[]
---@field home? string
---@field shell? string
---@field comment? string
---@field password? string # its hash, as `openssl passwd -6` prints it; "": none
---@field authorized_keys? string|string[] # keys, or files of them

---@class banger.recipe_build # what hooks are told
---@field image banger.image
---@field recipes banger.image_recipes
---@field settings banger.recipe_settings
---@field out string # what is made
---@field guest? banger.guest_plan # from after_plan on

-- ---- keys ------------------------------------------------------------------------------

---One line on what the recipe does.
---@type string?
description = nil

---References that it applies to by itself; * is anything.
---@type string|string[]|nil
match = nil

---Recipes to apply before this one: names, or paths relative to this file.
---@type string|string[]|nil
use = nil

---Which image of several, such as "linux/arm64".
---@type string?
platform = nil

---Size of the file, such as "4G", or "min".
---@type string|integer|nil
size = nil

---Free space to leave in it, such as "512M".
---@type string|integer|nil
free = nil

---Name of the file system, at most 16 bytes.
---@type string?
label = nil

---What the kernel runs first.
---@type "auto"|"native"|"banger"|"none"|string|nil
init = nil

---What banger-init runs, instead of Entrypoint and Cmd.
---@type string[]?
command = nil

---As whom, instead of the image's User.
---@type string?
user = nil

---Where, instead of the image's WorkingDir.
---@type string?
workdir = nil

---How it is stopped, instead of the image's StopSignal.
---@type string?
stop_signal = nil

---Seconds until it is killed then.
---@type integer?
stop_timeout = nil

---Variables for the program, over the image's Env.
---@type table<string, string|integer>
environment = {}

---The machine's name.
---@type string?
hostname = nil

---What the kernel's command line needs; `banger-lua run` adds it.
---@type string?
cmdline = nil

---Whether the guest runs the agent that `banger-lua exec` talks to; a port for vsock.
---@type boolean|{ port: integer }|nil
agent = nil

---Where writes go, the root file system being read-only.
---@type "tmpfs"|string|nil
overlay = nil

---Whether the console is root's without a password.
---@type boolean?
autologin = nil

---Items of what a guest needs, switched off with false.
---@type table<string, boolean>
guest = {}

---Users to add or change.
---@type banger.recipe_user[]
users = {}

---Files to put into the image, by path.
---@type table<string, string|banger.recipe_injection>
inject = {}

---Paths to remove; * is anything but a slash.
---@type string|string[]
remove = {}

---systemd units to enable.
---@type string|string[]
enable = {}

---systemd units to mask.
---@type string|string[]
mask = {}

---debugfs commands for the finished image, each a list of words.
---@type string[][]
debugfs = {}

-- ---- hooks ------------------------------------------------------------------------------

---The image is known; nothing is fetched yet.
---@type fun(build: banger.recipe_build)|nil
after_resolve = nil

---The layers are in, before anything is added.
---@type fun(rootfs: banger.rootfs, build: banger.recipe_build)|nil
after_flatten = nil

---All that is added, to be changed: what recipes put in, then what the guest needs besides.
---@type fun(plan: banger.guest_plan, rootfs: banger.rootfs, build: banger.recipe_build)|nil
after_plan = nil

---All is added.
---@type fun(rootfs: banger.rootfs, build: banger.recipe_build)|nil
before_mkext4 = nil

---The finished image, at a path; it gets its name afterwards.
---@type fun(image: string, build: banger.recipe_build)|nil
after_mkext4 = nil
