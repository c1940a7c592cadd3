-- The methods of images on a real terminal: what a person types at the prompt, and what the
-- screen shows.
package.path = "tests/?.lua;" .. package.path
local engine = require "support.engine"
local oci = require "support.oci"
local sh = require "support.sh"
local tar = require "support.tar"
local terminal = require "support.terminal"

local LAYERS = {
  {
    tar.dir "./", tar.dir "etc/", tar.file("etc/passwd", "root:x:0:0:::\n"), tar.file("etc/group", "root:x:0:\n"),
    tar.file("etc/motd", "old\n"), tar.dir "bin/", tar.file("bin/tool", ("t"):rep(2000), { mode = tonumber("755", 8) }),
  },
  { tar.dir "srv/", tar.file("srv/index", "<p>\n"), tar.file("etc/motd", "new\n"), tar.symlink("bin/sh", "tool") },
}

local scratch, opened
setup(function()
  scratch = sh.scratch()
  engine.image(scratch:path "box.ext4", { label = "box" }, table.unpack(LAYERS))
  oci.write(scratch:path "box", { tag = "1", layers = { { tar = tar.archive(LAYERS[1]) }, { tar = tar.archive(LAYERS[2]) } } })
end)
teardown(function() scratch:remove() end)
after_each(function()
  if opened then opened:close() end
  opened = nil
end)

local function prompt(editor)
  local home = scratch:fresh()
  sh.check("mkdir " .. home)
  opened = terminal.open(scratch, sh.check("realpath " .. sh.quote(sh.banger())):gsub("\n$", ""), {
    dir = scratch.dir, env = { HOME = home, XDG_STATE_HOME = home, XDG_CONFIG_HOME = home, EDITOR = editor, LSAN_OPTIONS = os.getenv "LSAN_OPTIONS" },
  })
  opened:expect "\n>"
  return opened
end

describe("at the prompt", function()
  it("an image is looked into as with the recipes", function()
    local t = prompt()
    t:enter('image = banger.open "box.ext4"'):expect("\n>", 2)
    t:enter('image:ls "/etc"'):expect 'image:ls "/etc"\ngroup\nmotd\npasswd\n>'
    t:enter('image:ls("/bin", { long = true })')
      :expect "\nlrwxrwxrwx 1 root root    4 2017-07-14 02:40 sh -> tool\n-rwxr-xr-x 1 root root 2000 2017-07-14 02:40 tool\n>"
    t:enter('image:tree("/bin", { size = true })'):expect "\n  2.0K  /bin\n├── sh -> tool\n└──   2.0K  tool\n\n0 directories, 2 files\n>"
    t:enter('image:find { name = "*o*", type = "f" }'):expect "\n/bin/tool\n/etc/group\n/etc/motd\n>"
    t:enter("#_"):expect "\n3\n>"
    t:enter('image:cat "/srv/index"'):expect "\n[[\n<p>\n]]\n>"
    t:enter("image:inspect()"):expect "\nlabel       box\n"
    t:expect("\n>", 8)
    t:enter("_.superblock.label"):expect '\n"box"\n>'
    t:enter('image:extract("/srv", "out")'):expect "\nout: 4 B in 1 file, 1 directory\n>"
    assert.equal("<p>\n", sh.read_file(scratch:path "out/index"))
    t:enter('image:diff "oci:box:1"'):expect 'image:diff "oci:box:1"\n{}\n>'
    t:enter('image:report "box.html"'):expect "\nbox.html: "
    t:expect("\n>", 12)
    t:enter "image:layers()":expect "\nbox.ext4 is an ext4 image, which has no layers; name the reference it was made of\n"
  end)

  it("a reference is, and its layers", function()
    local t = prompt()
    t:enter('box = banger.inspect "oci:box:1"'):expect("\n>", 2)
    t:enter("box"):expect "\nreference oci:box:1: 2 layers, linux/amd64, sha256:"
    t:expect("\n>", 3)
    t:enter("box:layers()"):expect "\nwasted 4 B of 2.0 KiB (0.2 %), efficiency 0.9980\n       4 B  /etc/motd (layers 1, 2)\n>"
    t:enter('box:ls "/"'):expect 'box:ls "/"\nbin\netc\nsrv\n>'
    t:enter('box:edit "/etc/motd"'):expect "\noci:box:1 is a reference, of which nothing can be edited; pull it, and edit the image\n"
    t:expect("\n>", 6)
    t:enter('banger.inspect("oci:box:1", { layer = 2 }):tree "/"')
      :expect "\n/\n├── bin\n│   └── sh -> tool\n├── etc\n│   └── motd\n└── srv\n    └── index\n\n3 directories, 3 files\n>"
  end)

  it("Tab knows methods and paths, of a reference once its layers are there", function()
    local t = prompt()
    t:enter('image, box = banger.open "box.ext4", banger.inspect "oci:box:1"'):expect("\n>", 2)
    t:type("image:tr"):press "Tab"
    t:type '("/s':press "Tab":expect 'image:tree("/srv/'
    t:type '")':press "Enter":expect "\n/srv\n└── index\n\n0 directories, 1 file\n>"
    t:type 'box:ls("/s':press "Tab"
    t:type '")':press "Enter":expect '> box:ls("/s")\n/s: not in oci:box:1\n'
    t:expect("\n>", 4)
    t:type 'box:ls("/s':press "Tab":expect 'box:ls("/srv/'
  end)

  it("the editor has the terminal, and the handle sees the change", function()
    local t = prompt "f() { echo 'what is it?'; read -r line </dev/tty; echo \"$line\" >\"$1\"; }; f"
    t:enter('image = banger.open "box.ext4"'):expect("\n>", 2)
    t:enter 'image:edit "/etc/motd"'
    t:expect "\nwhat is it?\n"
    t:enter("from the editor"):expect "\n/etc/motd: changed, 16 bytes\n>"
    t:enter('image:cat "/etc/motd"'):expect "\n[[\nfrom the editor\n]]\n>"
    t:enter('image:edit("/etc/motd", string.upper)'):expect "\n/etc/motd: changed, 16 bytes\n>"
    t:enter('image:cat "/etc/motd"'):expect "\n[[\nFROM THE EDITOR\n]]\n>"
    sh.check("PATH=$PATH:/usr/sbin:/sbin e2fsck -fn " .. sh.quote(scratch:path "box.ext4") .. " 2>&1")
  end)
end)
