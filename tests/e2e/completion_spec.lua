-- What Tab does on a real terminal, in the shells themselves, with what is installed.
package.path = "tests/?.lua;" .. package.path
local need = require "support.need"
local sh = require "support.sh"
local terminal = require "support.terminal"

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

setup(function()
  scratch:mkdir "bin"
  scratch:mkdir "w/dir"
  scratch:mkdir "w/layout"
  sh.check(([[cd %s && touch w/a.ext4 'w/b c.img' && ln -s %s bin/banger-lua && bin/banger-lua help --output share]]):format(
    sh.quote(scratch:path "."), sh.quote(sh.check("realpath " .. sh.quote(sh.banger())):gsub("\n", ""))))
end)

-- How each shell is started so that it reads nothing of this machine's user, and its prompt.
local SHELLS = {
  bash = { command = "bash --noprofile --rcfile $HOME/rc -i", file = "rc",
    rc = "PS1='> '; source $SHARE/bash-completion/completions/banger-lua" },
  zsh = { command = "zsh -i", file = ".zshrc",
    rc = "PS1='> '; setopt no_beep; fpath=($SHARE/zsh/site-functions $fpath); autoload -Uz compinit; compinit -u" },
  fish = { command = "fish -i", file = "fish/config.fish",
    rc = "function fish_prompt; echo '> '; end; set -g fish_greeting; set -g fish_autosuggestion_enabled 0; "
      .. "source $SHARE/fish/vendor_completions.d/banger-lua.fish" },
}

local function open(name)
  local shell, home = SHELLS[name], scratch:mkdir("home-" .. name)
  sh.check("mkdir -p " .. sh.quote(home .. "/fish"))
  sh.write_file(home .. "/" .. shell.file, shell.rc .. "\n")
  local screen = terminal.open(scratch, shell.command, {
    width = 110, dir = scratch:path "w",
    env = { HOME = home, ZDOTDIR = home, XDG_CONFIG_HOME = home, XDG_DATA_HOME = home, SHARE = scratch:path "share",
      PATH = scratch:path "bin" .. ":" .. os.getenv "PATH", INPUTRC = "/dev/null", LC_ALL = "C.UTF-8" },
  })
  screen:expect ">"
  return screen
end

-- What is typed, and what is on the line after one Tab.
local UNIQUE = {
  { "banger-lua pul", "banger-lua pull " },
  { "banger-lua pull --lab", "banger-lua pull --label" },
  { "banger-lua pull --tls-verify f", "banger-lua pull --tls-verify false " },
  { "banger-lua pull --progress pl", "banger-lua pull --progress plain " },
  { "banger-lua pull --recipe ng", "banger-lua pull --recipe nginx " },
  { "banger-lua run --kernel a", "banger-lua run --kernel a.ext4 " },
  { "banger-lua pull --cache-dir l", "banger-lua pull --cache-dir layout/" },
  { "banger-lua check b", "banger-lua check b\\ c.img " },
  { "banger-lua pull oci:l", "banger-lua pull oci:layout/" },
  { "banger-lua cache --cache-dir dir pru", "banger-lua cache --cache-dir dir prune " },
  { "banger-lua cache prune --unr", "banger-lua cache prune --unreferenced " },
  { "banger-lua help ch", "banger-lua help check " },
  { "banger-lua --deb", "banger-lua --debug-on-error " },
}

-- What is typed, and what is listed.
local LISTED = {
  { "banger-lua pull --progress ", "auto", "none", "plain", "tty" },
  { "banger-lua cache ", "list", "path", "prune", "verify" },
  { "banger-lua pull --recipe s", "slim", "ssh", "systemd" },
}

-- zsh and fish say what recipes do, too.
local TOLD = { zsh = true, fish = true }

for name in pairs(SHELLS) do
  local lacking = need.program(name, "tmux")

  describe(name .. " on a terminal completes", function()
    local function it_completes(what, test)
      it(what, function()
        if lacking then return pending(lacking) end
        test()
      end)
    end

    it_completes("what there is one of", function()
      local screen <close> = open(name)
      for _, case in ipairs(UNIQUE) do
        -- What follows shows where the word ended.
        screen:type(case[1]):press "Tab"
        screen:expect("> " .. case[2]:gsub(" $", ""))
        screen:type "#"
        screen:expect("> " .. case[2] .. (case[2]:find "%-%-label$" and "" or "#"))
        screen:press("C-a", "C-k", "C-l")
      end
    end)

    it_completes("what there is several of by listing it", function()
      for _, case in ipairs(LISTED) do
        local screen <close> = open(name)
        screen:type(case[1]):press("Tab", "Tab")
        for i = 2, #case do screen:expect(case[i]) end
      end
    end)

    if TOLD[name] then
      it_completes("recipes, and says what they do", function()
        local screen <close> = open(name)
        screen:type "banger-lua re":press("Tab", "Tab")
        screen:expect "Lists image recipes, and says what each can be told"
      end)
    end
  end)
end
