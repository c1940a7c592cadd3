-- An image as PostgreSQL's is: on the first boot its entrypoint makes a cluster in an empty
-- data directory and serves it; the second boot finds it again.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local distro = require "boot.distro"
local image = require "support.image"
local need = require "support.need"
local sh = require "support.sh"

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

-- A client with no library: the protocol's start-up message, one query, its first column.
local CLIENT = [[
import socket, struct, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
s.settimeout(20)
f = s.makefile("rwb")
start = struct.pack("!i", 196608) + b"user\0postgres\0database\0postgres\0\0"
f.write(struct.pack("!i", len(start) + 4) + start)
query = sys.argv[2].encode() + b"\0"
f.write(b"Q" + struct.pack("!i", len(query) + 4) + query)
f.flush()
ready = 0
while ready < 2:
    kind, size = struct.unpack("!ci", f.read(5))
    body = f.read(size - 4)
    if kind == b"D":
        width = struct.unpack("!i", body[2:6])[0]
        print(body[6:6 + width].decode())
    if kind == b"E":
        sys.exit(body.decode("latin-1"))
    ready += kind == b"Z"
]]

describe("an image of PostgreSQL", function()
  it("with the recipe for it makes its cluster, answers, stops cleanly, and has its data at the next boot", function()
    local path, client, answer = scratch:path "postgres.ext4", scratch:path "client.py", scratch:path "answer"
    local reason = distro.reason() or need.program "python3"
      or select(2, distro.pull("postgres", path, "--recipe postgres -D space=256M -D password=secret"))
    if reason then return pending(reason) end
    local tree, files <close> = image.read(path), banger.open(path)
    local postgres = tonumber(files:read("/etc/passwd"):match "\npostgres:[^:]*:(%d+)")
    -- The data are the server's, the password is the container's, and there is the space asked for.
    assert.are.same({ 448, postgres }, { tree["var/lib/postgresql/data"].mode, tree["var/lib/postgresql/data"].uid })
    assert.is_truthy(files:read "/.banger/env":find("POSTGRES_PASSWORD=secret\0", 1, true))
    assert.are.equal("120\0", files:read "/.banger/stop-timeout")
    assert.are.equal(256 * 1024 * 1024, files:df().free)
    sh.write_file(client, CLIENT)
    local port = distro.free_port()
    local function ask(query)
      return { ("python3 %s %d %s >%s 2>%s.err"):format(client, port, sh.quote(query), answer, answer), check = true,
        act = "tell 'sendkey ctrl-alt-delete'" }
    end
    local first = distro.boot("postgres", path, {
      forward = { port, 5432 },
      steps = { ask "CREATE TABLE kept AS SELECT 6 * 7 AS n; SELECT n || ' by ' || current_user FROM kept" },
    })
    assert.are.equal("42 by postgres\n", sh.read_file(answer), first.out)
    distro.assert_console("docker-entrypoint: a new cluster in /var/lib/postgresql/data", first)
    distro.assert_console("database system is shut down", first)
    assert.are.equal("exit=0 signal=0 oom=0", first.exit, first.out)
    distro.assert_clean(path)
    local second = distro.boot("postgres-again", path, { forward = { port, 5432 }, steps = { ask "SELECT n FROM kept" } })
    assert.are.equal("42\n", sh.read_file(answer), second.out)
    assert.is_nil(second.out:find("docker-entrypoint", 1, true))
    assert.is_nil(second.out:find("not properly shut down", 1, true))
    distro.assert_clean(path)
  end)

  it("that has no room for its cluster says so, and ends", function()
    local path = scratch:path "small.ext4"
    local reason = distro.reason() or select(2, distro.pull("postgres", path, "--free 8M"))
    if reason then return pending(reason) end
    local result = distro.boot("postgres-small", path, {})
    distro.assert_console("No space left on device", result)
    assert.are.equal("exit=1 signal=0 oom=0", result.exit, result.out)
    assert.are.equal(1, result.code)
    distro.assert_clean(path)
  end)
end)
