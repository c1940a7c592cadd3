-- `banger-lua run` before anything boots: mistakes, what is printed, and the primitive
-- that runs a program in the foreground, as Lua sees it.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local sh = require "support.sh"

local scratch, image, kernel
setup(function()
  scratch = sh.scratch()
  image, kernel = scratch:path "an image.ext4", scratch:path "vmlinuz"
  local rootfs <close> = banger.rootfs { near = image }
  banger.inject(rootfs, { { path = "/.banger/build.json",
    content = '{"cmdline":["init=/.banger/init"],"platform":{"architecture":"amd64"}}' } })
  banger.mkext4(rootfs, image, { size = "8M", journal = false })
  -- A kernel of which nothing is known but what it is.
  sh.write_file(kernel, "\127ELF\2\1\1" .. ("\0"):rep(9) .. "\2\0\62\0" .. ("\0"):rep(44))
end)
teardown(function() scratch:remove() end)

local function run(options, path, named)
  local err = scratch:fresh ".err"
  local out, code = sh.run(("BANGER_KERNEL=%s %s run %s %s 2>%s </dev/null"):format(named or "",
    sh.quote(sh.banger()), options, sh.quote(path or image), err))
  return { out = out, err = sh.read_file(err), code = code }
end

local function assert_refused(code, message, result)
  assert.equal("banger-lua: " .. message .. "\n", result.err)
  assert.equal(code, result.code)
  assert.equal("", result.out)
end

describe("run refuses", function()
  it("what is no image", function()
    assert_refused(2, "open /no/image: No such file or directory", run("", "/no/image"))
    local result = run("", kernel)
    assert.equal(1, result.code)
    assert.matches("vmlinuz", result.err)
    assert.matches("^banger%-lua: [^\n]*\n$", result.err)
  end)

  it("what is no kernel, or one of another machine", function()
    assert_refused(2, "--kernel /no/kernel: there is no such file", run "--kernel /no/kernel")
    assert_refused(1, ("--kernel %s: is no Linux kernel: neither bzImage, vmlinux nor Image"):format(image),
      run("--kernel " .. sh.quote(image)))
    assert_refused(2, "BANGER_KERNEL /no/named: there is no such file", run("", nil, "/no/named"))
    assert_refused(2, "--kernel /no/kernel: there is no such file", run("--kernel /no/kernel", nil, "/no/named"))
    local arm = scratch:path "Image"
    sh.write_file(arm, ("\0"):rep(0x38) .. "ARM\x64" .. ("\0"):rep(64))
    assert_refused(5, ("%s is for amd64, the kernel %s is for arm64: give another with --kernel"):format(image, arm), run("--kernel " .. arm))
  end)

  it("machines that the image is not for", function()
    assert_refused(1, "--machine virt: for amd64 images there is q35, microvm", run("--machine virt --kernel " .. kernel))
  end)

  it("values that make no sense", function()
    for options, message in pairs {
      ["--cpus 0"] = "--cpus: '0' is no number from 1 to 255 (see --help)",
      ["--cpus two"] = "--cpus: 'two' is no number from 1 to 255 (see --help)",
      ["--forward 80"] = "--forward: '80' is not HOSTPORT:GUESTPORT (see --help)",
      ["--forward 0:80"] = "--forward: '0:80' is not HOSTPORT:GUESTPORT (see --help)",
      ["--forward 1:65536"] = "--forward: '1:65536' is not HOSTPORT:GUESTPORT (see --help)",
      ["--timeout soon"] = "--timeout: 'soon' is no time span: a number with s, m, h, d or w expected (see --help)",
      ["--timeout 0"] = "--timeout: '0' is no time to run for: more than 0 expected (see --help)",
      ["--memory 1M"] = "--memory: '1M' is too little: 32M at least (see --help)",
      ["--memory much"] = "--memory: 'much' is no size: bytes, or a number with K, M, G or T (powers of 1024) expected (see --help)",
      ["--append 'a\nb'"] = "--append: control characters cannot be on a kernel's command line (see --help)",
      ["--machine pc"] = "argument for option '--machine' must be one of 'q35', 'microvm', 'virt' (see --help)",
    } do
      assert_refused(1, message, run(options))
    end
  end)

  it("options that cannot go together", function()
    for options, message in pairs {
      ["--no-network --forward 1:2"] = "--forward and --no-network exclude each other",
      ["--tap tap0"] = "--tap is for --print-cmdline firecracker and cloud-hypervisor",
      ["--print-cmdline firecracker --forward 1:2"] = "--forward is for QEMU's network: firecracker has --tap",
      ["--print-cmdline firecracker --snapshot"] = "--snapshot is for QEMU: firecracker writes into the disks; give it copies",
      ["--print-cmdline cloud-hypervisor --log x"] = "--log is for QEMU: the console of cloud-hypervisor is its output",
      ["--print-cmdline firecracker --machine microvm"] = "--machine is QEMU's: firecracker has one machine",
      ["--print-cmdline firecracker --accel tcg"] = "--accel is for QEMU: firecracker needs KVM",
      ["--print-cmdline qemu --timeout 5"] = "--print-cmdline and --timeout exclude each other: nothing is run",
      ["--print-cmdline firecracker --tap t --no-network"] = "--tap and --no-network exclude each other",
      ["--initrd a --initrd-out b"] = "--initrd and --initrd-out exclude each other",
    } do
      assert_refused(1, message, run(options))
    end
    local out, code = sh.run(("%s run --print-cmdline cloud-hypervisor %s -- -S 2>&1"):format(sh.quote(sh.banger()), sh.quote(image)))
    assert.same({ "banger-lua: what is after -- is for QEMU, not for cloud-hypervisor\n", 1 }, { out, code })
  end)

  it("disks and sockets that cannot be", function()
    assert_refused(2, "--disk /no/disk: there is no such file", run(("--disk /no/disk --kernel %s --initrd %s"):format(kernel, kernel)))
    assert_refused(2, "--initrd /no/initrd: there is no such file", run("--initrd /no/initrd --kernel " .. kernel))
    assert_refused(1, ("--agent %s: is there already, and no socket"):format(kernel),
      run(("--agent %s --kernel %s --initrd %s"):format(kernel, kernel, kernel)))
  end)

  it("to write where it may not, unless nothing is written", function()
    if not sh.is_root() or not sh.has "setpriv" then return pending "needs root and setpriv" end
    sh.check("chmod 755 " .. scratch.dir)
    local program = scratch:path "banger-lua"
    sh.check(("cp %s %s; chmod 644 %s"):format(sh.quote(sh.banger()), program, sh.quote(image)))
    local line = ("cd / && setpriv --reuid 65534 --clear-groups %s run --accel tcg --kernel %s --initrd %s %s"):format(
      program, kernel, kernel, sh.quote(image))
    assert.same({ ("banger-lua: image %s: may not be written (Permission denied); with --snapshot nothing is\n"):format(image), 1 },
      { sh.run(line .. " 2>&1") })
    assert.matches("^qemu", sh.check(line .. " --snapshot --print-cmdline qemu"))
    assert.matches("^qemu", sh.check(line .. " --print-cmdline qemu"))
    sh.check("chmod 600 " .. sh.quote(image))
    local out, code = sh.run(line .. " 2>&1")
    assert.matches("Permission denied\n$", out)
    assert.equal(1, code)
  end)

  it("to boot without QEMU", function()
    local line = ("PATH=/none %s run --kernel %s --initrd %s %s"):format(sh.quote(sh.banger()), kernel, kernel, sh.quote(image))
    assert.same({ "banger-lua: qemu-system-x86_64 is not installed: on Debian and Ubuntu it is in the package qemu-system-x86\n", 2 },
      { sh.run(line .. " 2>&1") })
  end)

  it("a file for an initramfs that cannot be written, or is not made", function()
    assert_refused(1, "--initrd-out: no initramfs is made for this kernel",
      run(("--initrd-out %s --kernel %s"):format(scratch:path "out", kernel)))
  end)
end)

describe("run says", function()
  it("what to do where modules are not found", function()
    local dir = scratch:mkdir "kernels"
    sh.check(("mkdir -p %s/boot %s/lib/modules/9.8.7-x; cp %s %s/boot/vmlinux-9.8.7-x"):format(dir, dir, kernel, dir))
    local real = sh.check("realpath " .. dir):gsub("\n", "")
    local options = "--print-cmdline qemu --accel tcg --kernel " .. dir .. "/boot/vmlinux-9.8.7-x"
    assert.equal(("banger-lua: %s/boot/vmlinux-9.8.7-x: its modules were not found (--modules DIR); virtio and ext4 have to be built in\n")
      :format(real), run(options).err)
    sh.check(("mkdir %s/lib/modules/9.8.7-x/kernel"):format(dir))
    assert.equal(("banger-lua: %s/lib/modules/9.8.7-x has no modules.dep, and its modules are not used: depmod -b %s 9.8.7-x makes it\n")
      :format(real, real), run(options).err)
  end)
end)

describe("run that is told to stop", function()
  -- A machine that says that it is there, and goes when it is told so.
  local function stop(signal, options)
    local bin, out, err = scratch:mkdir "bin", scratch:fresh ".out", scratch:fresh ".err"
    sh.write_file(bin .. "/qemu-system-x86_64", "#!/bin/sh\necho READY\nread told <&3\necho told $told\n")
    sh.check("chmod +x " .. bin .. "/qemu-system-x86_64")
    local _, code = sh.run(("PATH=%s:$PATH tests/support/%s >%s 2>%s"):format(bin, sh.line("signal-when.sh", signal,
      ("grep -q READY %s %s"):format(out, err), sh.banger(), "run", "--accel", "tcg", "--kernel", kernel, image) .. " " .. options, out, err))
    return { out = sh.read_file(out), err = sh.read_file(err), code = code }
  end

  for signal, code in pairs { INT = 130, TERM = 143 } do
    it("says so with --json, by SIG" .. signal, function()
      local result = stop(signal, "-q --json")
      assert.equal(('{"accel":"tcg","ended":"stopped","exit":%d,"image":"%s","kernel":"%s","machine":"q35"}\n'):format(code, image, kernel),
        result.out)
      assert.equal(code, result.code)
      assert.matches("READY\ntold sendkey ctrl%-alt%-delete\nbanger%-lua: interrupted\n$", result.err)
    end)

    it("has one line of its own without --json, by SIG" .. signal, function()
      local result = stop(signal, "-q")
      assert.equal("READY\ntold sendkey ctrl-alt-delete\n", result.out)
      assert.matches("banger%-lua: interrupted\n$", result.err)
      assert.equal(code, result.code)
    end)
  end
end)

describe("run prints", function()
  it("paths that are the same from anywhere", function()
    local real = sh.check("realpath " .. scratch.dir):gsub("\n", "")
    local line = ("cd %s && %s run --kernel %s --initrd vmlinuz --agent 'a,b.sock' --print-cmdline %%s 'an image.ext4' 2>/dev/null"):format(
      scratch.dir, sh.quote((sh.check("realpath " .. sh.quote(sh.banger())):gsub("\n", ""))), kernel)
    local out = sh.check(line:format "cloud-hypervisor")
    assert.is_truthy(out:find(([[--initramfs %s/vmlinuz ]]):format(real), 1, true), out)
    assert.is_truthy(out:find(([[--vsock 'cid=3,socket="%s/a,b.sock"']]):format(real), 1, true), out)
    out = sh.check(line:format "firecracker")
    assert.is_truthy(out:find(('"uds_path":"%s/a,b.sock"'):format(real), 1, true), out)
    out = sh.check(line:format "qemu --accel tcg --log l")
    assert.is_truthy(out:find(("path=%s/a,,b.sock,"):format(real), 1, true), out)
    assert.is_truthy(out:find(("logfile=%s/l "):format(real), 1, true), out)
  end)

  it("a command line that a shell takes", function()
    local result = run(("--print-cmdline qemu --accel tcg --kernel %s --initrd %s --forward 8080:80 --append 'a b'"):format(kernel, kernel)
      .. " --snapshot", image)
    assert.equal(0, result.code, result.err)
    local words = {}
    for word in sh.check("printf '%s\\n' " .. result.out):gmatch "([^\n]*)\n" do words[#words + 1] = word end
    assert.equal("qemu-system-x86_64", words[1])
    local all = table.concat(words, "\n")
    local real = sh.check("realpath " .. sh.quote(image)):gsub("\n", "")
    assert.is_truthy(all:find(("\n-drive\nfile=%s,if=none,id=disk0,format=raw,snapshot=on\n"):format(real), 1, true), all)
    assert.is_truthy(all:find("hostfwd=tcp:127.0.0.1:8080-:80", 1, true), all)
    assert.matches("\n%-append\nconsole=ttyS0 [^\n]* root=/dev/vda rw ip=[^\n]* init=/%.banger/init a b\n", all)
  end)

  it("what comes after -- for QEMU", function()
    local path = sh.quote(image)
    local out = sh.check(("%s run --print-cmdline qemu --accel tcg --kernel %s --initrd %s %s -- -name 'a b' --help"):format(
      sh.quote(sh.banger()), kernel, kernel, path))
    assert.matches(" %-name 'a b' %-%-help\n$", out)
  end)

  it("Firecracker's configuration, as JSON, and what to adapt", function()
    local result = run(("--print-cmdline firecracker --kernel %s --initrd %s --tap tap0 --memory 1G --cpus 2"):format(kernel, kernel))
    local script = [[import json, sys; c = json.load(sys.stdin); b = c["boot-source"]
print(b["kernel_image_path"], b["initrd_path"], b["boot_args"], sep="\n")
print(c["drives"][0]["path_on_host"], c["machine-config"], c["network-interfaces"], sep="\n")]]
    sh.write_file(scratch:path "c.json", result.out)
    local real = sh.check("realpath " .. sh.quote(image)):gsub("\n", "")
    assert.equal(kernel .. "\n" .. kernel .. "\nconsole=ttyS0 reboot=k panic=1 pci=off root=/dev/vda rw init=/.banger/init\n" .. real
      .. "\n{'mem_size_mib': 1024, 'vcpu_count': 2}\n[{'host_dev_name': 'tap0', 'iface_id': 'eth0'}]\n",
      sh.check(("python3 -c %s < %s"):format(sh.quote(script), scratch:path "c.json")))
    assert.equal("", result.err)
  end)

  it("cloud-hypervisor's command line", function()
    local result = run(("--print-cmdline cloud-hypervisor --kernel %s --initrd %s"):format(kernel, kernel))
    assert.is_truthy(result.out:find(("cloud-hypervisor --kernel %s --initramfs %s --cmdline 'console=ttyS0 "):format(kernel, kernel), 1, true),
      result.out)
    assert.equal("", result.err)
  end)
end)

describe("a program in the foreground", function()
  local foreground = banger.host.foreground

  it("has files, and tells how it ended", function()
    local code = [[local r = require "banger".host.foreground({ "sh", "-c", "cat /dev/fd/3 /dev/fd/4; exit 5" }, { files = { "one ", "two" } })
      io.stderr:write(r.status, " ", tostring(r.timed_out), " [", r.tail, "]")]]
    assert.equal("one two5 false [one two]", sh.check(("%s -e %s"):format(sh.quote(sh.banger()), sh.quote(code))))
  end)

  it("reads what we would", function()
    local code = [[require "banger".host.foreground { "tr", "a-z", "A-Z" }]]
    assert.equal("TYPED", sh.check(("printf typed | %s -e %s"):format(sh.quote(sh.banger()), sh.quote(code))))
  end)

  it("has an empty stdin where we have none", function()
    local code = [[require "banger".host.foreground { "sh", "-c", "cat; readlink /proc/self/fd/0" }]]
    assert.equal("/dev/null\n", sh.check(("%s -e %s <&-"):format(sh.quote(sh.banger()), sh.quote(code))))
  end)

  it("ends when nobody reads what it prints", function()
    local code = [[require "banger".host.foreground { "yes" }]]
    local said = scratch:path "said"
    local out, status = sh.run(("{ timeout 20 %s -e %s 2>%s; echo $? >%s; } | head -n 2"):format(
      sh.quote(sh.banger()), sh.quote(code), said, scratch:path "status"))
    assert.same({ "y\ny\n", 0 }, { out, status })
    assert.same({ "141\n", "" }, { sh.read_file(scratch:path "status"), sh.read_file(said) })
  end)

  it("checks its arguments", function()
    for message, args in pairs {
      ["bad argument #1 to 'foreground' (a program expected)"] = { {} },
      ["bad argument #1 to 'foreground' (a list of strings expected)"] = { { "true", 1 } },
      ["bad argument #2 to 'foreground' (timeout out of range)"] = { { "true" }, { timeout = -1 } },
      ["bad argument #2 to 'foreground' (files: a list of strings expected)"] = { { "true" }, { files = { "a", 7 } } },
    } do
      assert.has_error(function() foreground(table.unpack(args)) end, message)
    end
    assert.has_error(function() foreground({ "true" }, { files = "a" }) end,
      "bad argument #2 to 'foreground' (files: a list of strings expected)")
  end)

  it("may not be there", function()
    local ok, err = pcall(foreground, { "no-such-program" })
    assert.is_false(ok)
    assert.same({ "not_found", "there is no program no-such-program" }, { err.code, err.message })
  end)
end)
