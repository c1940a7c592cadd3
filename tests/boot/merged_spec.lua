-- An image of a distribution whose /bin, /lib and /sbin are links into /usr: they stay links
-- whatever is injected below them, and its dynamic programs find their loader.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local distro = require "boot.distro"
local image = require "support.image"
local sh = require "support.sh"

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

describe("a merged-usr image", function()
  it("runs its programs after an injection below /lib", function()
    local path = scratch:path "merged.ext4"
    local reason = distro.reason() or select(2, distro.pull("merged", path, "--free 64M"))
    if reason then return pending(reason) end
    banger.inject(path, { { path = "/lib/modules/banger/note", content = "below a link\n" } })
    local tree = image.read(path)
    for _, name in ipairs { "bin", "lib", "sbin" } do
      assert.are.equal("symlink", tree[name].type)
      assert.are.equal("usr/" .. name, tree[name].target)
    end
    assert.are.equal("file", tree["usr/lib/modules/banger/note"].type)
    local result = distro.boot("merged", path, {})
    distro.assert_console("bash /bin/bash on Linux: usr/lib usr/bin usr/sbin", result)
    assert.are.equal("exit=0 signal=0 oom=0", result.exit)
    distro.assert_clean(path)
  end)
end)
