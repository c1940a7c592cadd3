-- An application image on a network: nginx serves a page to the host, and ends as the
-- image's StopSignal asks for when the machine is told to stop.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local distro = require "boot.distro"
local need = require "support.need"
local sh = require "support.sh"

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

describe("an image of nginx", function()
  it("serves a page to the host, and stops when the machine is told to", function()
    local path, page = scratch:path "nginx.ext4", scratch:path "page"
    local reason = distro.reason() or need.program("curl", "python3") or select(2, distro.pull("nginx", path, "--free 64M"))
    if reason then return pending(reason) end
    local port = distro.free_port()
    local url = ("http://127.0.0.1:%d/"):format(port)
    local result = distro.boot("nginx", path, {
      forward = { port, 80 },
      steps = {
        { ("curl -s -m 2 -o %s %s"):format(page, url), check = true },
        { ("[ $(curl -s -m 5 -o /dev/null -w '%%{http_code}' %sabsent) = 404 ]"):format(url), check = true,
          act = "tell 'sendkey ctrl-alt-delete'" },
      },
    })
    assert.are.equal("<h1>served by the machine</h1>\n", sh.read_file(page), result.out)
    assert.are.equal("exit=0 signal=0 oom=0", result.exit, result.out)
    assert.are.equal(0, result.code)
    -- Its logs are links to /dev/stdout and /dev/stderr: they go to the console.
    distro.assert_console('"GET /absent HTTP/1.1" 404', result)
    distro.assert_clean(path)
  end)

  it("that is configured wrongly says why, and its exit code is the machine's", function()
    local path = scratch:path "wrong.ext4"
    local reason = distro.reason() or select(2, distro.pull("nginx", path, "--free 64M"))
    if reason then return pending(reason) end
    banger.inject(path, { { path = "/etc/nginx/sites-enabled/wrong", content = "server { listne 80; }\n" } })
    local result = distro.boot("nginx-wrong", path, {})
    distro.assert_console('unknown directive "listne" in /etc/nginx/sites-enabled/wrong:1', result)
    assert.are.equal("exit=1 signal=0 oom=0", result.exit, result.out)
    assert.are.equal(1, result.code)
    distro.assert_clean(path)
  end)
end)
