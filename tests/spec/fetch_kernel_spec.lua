-- `make kernel` and what it runs, with an apt of the test's own: it says why there is no kernel.
package.path = "tests/?.lua;" .. package.path
local sh = require "support.sh"

local scratch
setup(function() scratch = sh.scratch() end)
teardown(function() scratch:remove() end)

-- Runs a command where these programs come first: their names, and what they do in sh.
local function run(command, programs)
  local bin, err = scratch:fresh ".bin", scratch:fresh ".err"
  sh.check("mkdir " .. bin)
  for name, script in pairs(programs) do
    sh.write_file(bin .. "/" .. name, "#!/bin/sh\n" .. script .. "\n")
  end
  sh.check(("chmod +x %s/*"):format(bin))
  local out, code = sh.run(("PATH=%s:$PATH %s 2>%s"):format(bin, command, err))
  return { out = out, err = sh.read_file(err), code = code }
end

-- An apt that knows these packages and what they depend on, and gives none.
local function apt(arch, depends)
  local cases = {}
  for name, package in pairs(depends) do cases[#cases + 1] = ("%s) echo '  Depends: %s';;"):format(name, package) end
  return {
    ["apt-get"] = "exit 100", depmod = "exit 0", dpkg = "echo " .. arch, ["dpkg-deb"] = "exit 0",
    ["apt-cache"] = 'case $2 in ' .. table.concat(cases, " ") .. " *) exit 100;; esac",
  }
end

describe("a kernel for tests and for run", function()
  it("is the distribution's for this machine's architecture, first the one for virtual machines", function()
    for _, case in ipairs {
      { "arm64", { ["linux-image-cloud-arm64"] = "linux-image-6.1.0-9-cloud-arm64", ["linux-image-arm64"] = "linux-image-6.1.0-9-arm64" },
        "linux-image-6.1.0-9-cloud-arm64" },
      { "amd64", { ["linux-image-amd64"] = "linux-image-6.1.0-9-amd64", ["linux-image-cloud-arm64"] = "linux-image-6.1.0-9-cloud-arm64" },
        "linux-image-6.1.0-9-amd64" },
      { "arm64", { ["linux-image-virtual"] = "linux-image-6.8.0-9-generic" }, "linux-image-6.8.0-9-generic" },
      { "amd64", { ["linux-image-kvm"] = "linux-image-5.15.0-9-kvm" }, "linux-image-5.15.0-9-kvm" },
    } do
      local dir = scratch:fresh ".kernel"
      assert.same({ out = "", code = 0, err = ("downloading: %s (unpacked into %s)\nfetch-kernel.sh: no kernel in %s: %s cannot be downloaded\n")
        :format(case[3], dir, dir, case[3]) }, run("tests/boot/fetch-kernel.sh " .. dir, apt(case[1], case[2])))
      assert.equal("", (sh.run(("ls -d %s* 2>/dev/null"):format(dir))))
    end
  end)

  it("is none, with the reason, where apt knows none", function()
    local dir = scratch:fresh ".kernel"
    assert.same({ out = "", code = 0,
      err = ("fetch-kernel.sh: no kernel in %s: apt knows no linux-image for riscv64 (apt-get update fetches its lists)\n"):format(dir) },
      run("tests/boot/fetch-kernel.sh " .. dir, apt("riscv64", { ["linux-image-amd64"] = "linux-image-6.1.0-9-amd64" })))
  end)

  it("is an error of make kernel then, and what to export where there is one", function()
    if not sh.has "make" then return pending "no make" end
    local build = scratch:mkdir "build"
    local got = run("MAKEFLAGS= make -s kernel B=" .. build, apt("riscv64", {}))
    assert.same({ "", 2 }, { got.out, got.code })
    assert.matches("^fetch%-kernel%.sh: no kernel in [^\n]*: apt knows no linux%-image for riscv64 [^\n]*\n"
      .. "no kernel was unpacked; run takes one of yours with %-%-kernel FILE\n", got.err)
    sh.check(("mkdir -p %s/cache/kernel; touch %s/cache/kernel/kernel"):format(build, build))
    got = run("MAKEFLAGS= make -s kernel B=" .. build, apt("riscv64", {}))
    local real = sh.check("realpath " .. build):gsub("\n$", "")
    assert.same({ out = ("export BANGER_KERNEL=%s/cache/kernel/kernel\n"):format(real), err = "", code = 0 }, got)
  end)
end)
