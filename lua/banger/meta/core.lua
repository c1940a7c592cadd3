---@meta banger.core

---The primitives, in C. `require "banger"` gives them all, with those parts of the
---API that are Lua (see ../init.lua).
---
---Sizes are bytes, times are seconds since 1970, layers are numbered from 1.
---What is wrong with the world is raised as a `banger.Error`; what is wrong with
---the arguments is raised as a plain string, as Lua's own functions do. A path with
---a zero byte in it is an error of code `usage`, of whatever it is the path.
---@class banger.core
---@field version string # of banger-lua, such as "0.1.0"
---@field prefix string # where it is installed, such as "/usr/local"
---@field host banger.host
---@field agent banger.agent
local core = {}

---An error of the world. `tostring` gives the message.
---@class banger.Error
---@field code banger.code
---@field message string # one line
---@field needed? integer # with no_space: bytes
---@field given? integer # with no_space: bytes
---@field signal? integer # with interrupted: the signal's number

---@alias banger.code
---| "usage" # asked for something that makes no sense
---| "not_found" # a reference, blob, file or layout that is not there
---| "auth" # credentials were refused
---| "network" # a transfer failed after its retries
---| "platform" # the image has no such platform
---| "digest" # bytes do not have the size or digest they must have
---| "layer" # a layer or manifest that is corrupt, hostile or over a limit
---| "no_space" # the image or the disk is too small
---| "ext4" # a file system that cannot be read, written or trusted
---| "io" # the host's own files
---| "no_memory"
---| "changed" # a file is not what it was a moment ago: try again
---| "interrupted" # by a signal

---Raise a `banger.Error`. One that nobody catches ends the program with its message
---on one line and the exit code of its kind.
---@param code banger.code
---@param message string # control characters are escaped, so that it is one line
---@param fields? table # more to put into the object
---@example
---```lua
---banger.error("not_found", "no kernel in " .. dir, { dir = dir })
---```
function core.error(code, message, fields) end

---Whether a value is a `banger.Error`.
---@param value any
---@return boolean
---@example
---```lua
---local ok, err = pcall(build)
---if not ok and banger.is_error(err) and err.code == "no_space" then print(err.needed) end
---```
function core.is_error(value) end

---A file compiled into the binary, as a function to run it.
---@param name string # such as "recipes/pull.lua"
---@return function? # nil when there is none
---@example
---```lua
---core.embedded "recipes/pull.lua" ("oci:images:debian", "out.ext4")
---```
function core.embedded(name) end

---The bytes of a file compiled into the binary.
---@param name string # such as "guest/banger-init-amd64"
---@return string? # nil when there is none
---@example
---```lua
---local init = core.resource "guest/banger-init-arm64"
---```
function core.resource(name) end

---The names of all files compiled into the binary.
---@return string[] # in no promised order
---@example
---```lua
---for _, name in ipairs(core.resources()) do print(name) end
---```
function core.resources() end

---@class banger.library
---@field name string
---@field version string

---The libraries that the program is linked with.
---@return banger.library[] # Lua first, then by name
---@example
---```lua
---for _, library in ipairs(banger.libraries()) do print(library.name, library.version) end
---```
function core.libraries() end

---Where a blob is: in a file (`path`) or on the network (`url`). `source.resolve` gives
---these for the layers of an image.
---@class banger.fetch_options : banger.http_options
---@field digest? string # "sha256:" and 64 lowercase hexadecimal digits; may be left out with `offset`, where nobody states one
---@field size? integer # compressed bytes; checked when given
---@field path? string # a file on this machine
---@field offset? integer # where the blob begins in the file, which needs `size`; without it the blob is the whole file
---@field trace? boolean # `flatten_layer` hands each request to `progress`
---@field more_urls? string[] # where to look, without `headers`, when `url` has it not
---@field store? banger.store # where it is kept; default: nowhere
---@field temp? string # without a store: a directory for an unnamed file, default /tmp
---@field jobs? integer # downloads at once from now on, of all blobs; default 6
---@field authorize? fun(challenge: string): string[] # called while somebody waits for a blob, when the registry
---  answers 401: gives the headers to go on with, or raises

---A request. Redirects are followed, credentials left behind on the way to another host;
---network errors, 408, 429 and 5xx are tried up to five times.
---@class banger.http_options
---@field url? string
---@field headers? string[] # "Name: value"
---@field ca? string # PEM certificates to trust instead of the system's
---@field cert? string # path of the client's certificate
---@field key? string # path of its key
---@field proxy? string # default: what the environment says
---@field insecure? boolean # take any certificate
---@field stall? integer # seconds below 1 KB/s that end an attempt, default 20
---@field backoff? integer # milliseconds before the second attempt, doubled for each more, default 500
---@field tries? integer # attempts, default 5

---@class banger.http_request : banger.http_options
---@field method? "GET"|"HEAD"|"POST" # default GET
---@field body? string # of a POST
---@field note? fun(text: string) # told of every attempt that failed

---Ask for something small, and wait for the answer, whatever its status is.
---@param request banger.http_request
---@param limit? integer # bytes of the body, default 64 MiB
---@return { status: integer, url: string, headers: table<string, string>, body: string } # names of headers in lower case
---@example
---```lua
---local answer = core.http { url = "https://registry.example.com/v2/" }
---```
---Raises `network`, `interrupted`.
function core.http(request, limit) end

---The blob store: see src/store/store.h. Closed by the collector.
---@class banger.store
local Store = {}

---Open the store in a directory, which is made where it is missing.
---@param dir string
---@return banger.store
---@example
---```lua
---local store = core.store "cache"
---```
---Raises `io`, `no_space`.
function core.store(dir) end

---@return string
---@example
---```lua
---print(store:dir())
---```
function Store:dir() end

---@return boolean # false: it is only read
---@example
---```lua
---assert(store:writable())
---```
function Store:writable() end

---Where a blob is, or would be.
---@param digest string
---@return string
---@example
---```lua
---io.open(store:path(digest))
---```
function Store:path(digest) end

---@param digest string
---@return integer? bytes # nil: it is not there
---@example
---```lua
---if store:size(digest) then print "here" end
---```
function Store:size(digest) end

---Keep bytes.
---@param bytes string
---@return string digest
---@example
---```lua
---local digest = store:put(text)
---```
---Raises `io`, `no_space`.
function Store:put(bytes) end

---Remove a blob; nothing where there is none.
---@param digest string
---@example
---```lua
---store:remove(digest)
---```
---Raises `io`.
function Store:remove(digest) end

---Replace index.json in one step.
---@param text string
---@example
---```lua
---store:write_index(json.encode(index))
---```
---Raises `io`, `no_space`.
function Store:write_index(text) end

---Whether no other process has the store open; if so, none gets in before this one
---closes it.
---@return boolean
---@example
---```lua
---if store:alone() then store:remove(digest) end
---```
function Store:alone() end

---Hold the lock of index.json until what this returns is closed.
---@return any lock # for <close>
---@example
---```lua
---local lock <close> = store:lock()
---```
---Raises `io`, `interrupted`.
function Store:lock() end

---A blob on its way. Closed by `<close>`, `:close()` or the collector.
---@class banger.blob
---@field digest string
---@field size? integer
local Blob = {}

---Wait until the blob is here and verified.
---@return banger.blob self
---@example
---```lua
---local blob = banger.fetch_blob { digest = digest, path = file }:wait()
---```
---Raises `not_found`, `auth`, `network`, `digest`, `no_space`, `io`, `interrupted`.
function Blob:wait() end

---How far it is.
---@return { state: "running"|"done"|"failed", bytes: integer, arrived: integer, size: integer?, note: string?, log: string? } # bytes:
---  verified; arrived: there to be read; note: what is being waited for; log: lines on attempts that failed since the last call
---@example
---```lua
---print(blob:progress().bytes)
---```
function Blob:progress() end

---Stop fetching and let go of everything. Closing twice is fine.
---@example
---```lua
---blob:close()
---```
function Blob:close() end

---Start to fetch a blob. Returns at once; the blob is verified in the background,
---and what is wrong is raised by whoever uses it.
---@param options banger.fetch_options
---@return banger.blob
---@example
---```lua
---local blob = banger.fetch_blob { digest = layer.digest, size = layer.size, path = path }
---```
function core.fetch_blob(options) end

---@class banger.stat
---@field path string
---@field type "file"|"dir"|"symlink"|"char"|"block"|"fifo"|"socket"
---@field mode integer # permissions, 0 to 07777
---@field uid integer
---@field gid integer
---@field size integer # bytes
---@field mtime integer # seconds, rounded down
---@field mtime_nsec integer # 0 to 999999999
---@field nlink integer
---@field ino? integer # in an image; a rootfs has none yet
---@field id integer # the same for all names of one file, as long as the tree does not change
---@field layer? integer # of a rootfs: the layer that put the name there; nil where none did
---@field atime? integer # this and the next: of an image's `stat`, not of its `walk`
---@field atime_nsec? integer
---@field ctime? integer # when the inode was changed last
---@field ctime_nsec? integer
---@field crtime? integer # when it was made
---@field crtime_nsec? integer
---@field blocks? integer # of 512 bytes
---@field target? string # of a symlink
---@field major? integer # of a device
---@field minor? integer
---@field xattrs table<string, string> # such as ["security.capability"]

---The read side that a rootfs and an image share. Paths are from the image's root;
---links in them are resolved inside the image.
---@class banger.tree
local tree = {}

---What is at a path.
---@param path string
---@param options? { follow?: boolean } # follow: a link at the path's end too; default false
---@return banger.stat? # nil when nothing is there, or a link to follow dangles
---@example
---```lua
---local st = rootfs:stat "/etc/passwd"
---```
function tree:stat(path, options) end

---The names in a directory, sorted by their bytes, without "." and "..".
---@param path string
---@return string[]
---@example
---```lua
---for _, name in ipairs(image:list "/etc") do print(name) end
---```
---Raises `not_found`, `usage` (no directory).
function tree:list(path) end

---A file's content.
---@param path string # links are followed
---@param options? { offset?: integer, size?: integer } # bytes; default: all of it
---@return string
---@example
---```lua
---local name = rootfs:read("/etc/hostname", { size = 256 })
---```
---Raises `not_found`, `usage` (no file), `io`, `ext4`.
function tree:read(path, options) end

---Where a file is no hole: the next part, at or after an offset. Holes can be read too, as zeros.
---@param path string # links are followed
---@param offset? integer # default 0
---@return integer? start # nil: nothing but a hole is left
---@return integer? past # where the part is over
---@example
---```lua
---local start, past = image:data("/var/log/lastlog", 0)
---while start do
---  print(start, past)
---  start, past = image:data("/var/log/lastlog", past)
---end
---```
---Raises `not_found`, `usage` (no file), `ext4`.
function tree:data(path, offset) end

---Everything below a path, itself first, parents before children, siblings sorted
---by their bytes; links are not followed.
---@param path? string # default "/"
---@param options? { depth?: integer } # depth: how many levels below it to go; default: all
---@return fun(): string?, banger.stat?
---@example
---```lua
---for path, st in image:walk "/usr" do print(st.type, path) end
---```
---Raises `not_found`.
function tree:walk(path, options) end

---Whether something is at a path, links followed.
---@param path string
---@return boolean
---@example
---```lua
---if rootfs:exists "/sbin/init" then print "it has an init" end
---```
function tree:exists(path) end

---The path without links.
---@param path string
---@return string? # nil when nothing is there
---@example
---```lua
---rootfs:resolve "/lib/x"  --> "/usr/lib/x" in a merged-usr image
---```
function tree:resolve(path) end

---@class banger.df
---@field used integer # bytes; of a rootfs: what is staged
---@field size? integer # bytes; a rootfs has no size yet, and none of the next
---@field free? integer # bytes
---@field inodes? integer
---@field inodes_used? integer
---@field inodes_free? integer
---@field files? integer # of a rootfs: names
---@field layers? integer # of a rootfs
---@field label? string # of an image: its name, "" for none
---@field needs_recovery? boolean # of an image: its journal holds changes that are not in place yet

---Space and inodes.
---@return banger.df
---@example
---```lua
---print(image:df().free)
---```
function tree:df() end

---Let go. Closing twice is fine; so is `<close>`.
---@example
---```lua
---local image <close> = banger.open "out.ext4"
---```
function tree:close() end

---A tree in the making, with the staging file that becomes the image. When it is
---closed before `mkext4`, nothing of it stays.
---@class banger.rootfs: banger.tree
local Rootfs = {}

---What the layers are called together: the digest of their diff_ids, as OCI has it.
---@return string
---@example
---```lua
---print(rootfs:chain_id())
---```
function Rootfs:chain_id() end

---Start an empty tree.
---@param options { near: string } # the output it will become: the staging file is made in its directory
---@return banger.rootfs
---@example
---```lua
---local rootfs <close> = banger.rootfs { near = "out.ext4" }
---```
---Raises `usage` (the output is a directory), `not_found`, `io`, `no_space`.
function core.rootfs(options) end

---@class banger.limits
---@field layers? integer # default 512
---@field entries? integer # of all layers, default 20000000
---@field depth? integer # components of a path, default 1024
---@field bytes? integer # unpacked, and of all files' contents; default 256 GiB

---@class banger.flatten_progress
---@field bytes integer # compressed bytes so far
---@field size? integer # of them in all
---@field unpacked integer # bytes of tar
---@field entries integer
---@field note? string # what the blob waits for
---@field log? string # lines on attempts to fetch it that failed since the last call
---@field requests? string # lines on requests that were answered since then, with `trace`

---@class banger.flatten_options
---@field diff_id? string # digest of the unpacked tar, checked when given
---@field paths? "safe"|"clamp"|"strict" # names that climb out by "..": refuse (safe, the default),
---  stop at the root (clamp), refuse absolute names too (strict)
---@field strict? boolean # true: anything to take note of is an error of code layer; default false
---@field limits? banger.limits
---@field progress? fun(p: banger.flatten_progress) # called at most 10 times a second

---@class banger.note
---@field entry string # the name as the layer has it
---@field action "skipped"|"altered"|"noted"
---@field reason string

---@class banger.layer_report
---@field layer integer
---@field diff_id string
---@field entries integer
---@field files integer
---@field directories integer
---@field symlinks integer
---@field hardlinks integer
---@field devices integer
---@field whiteouts integer
---@field replaced integer # what lower layers had
---@field skipped integer
---@field bytes integer # of file contents
---@field unpacked integer # bytes of tar
---@field compressed integer # bytes
---@field notes banger.note[] # the first of them
---@field notes_dropped integer # how many more there were

---Put a layer on top of what is there, following the blob while it still arrives.
---@param rootfs banger.rootfs # after a failure, of no more use
---@param blob banger.blob
---@param options? banger.flatten_options
---@return banger.layer_report
---@example
---```lua
---local report = banger.flatten_layer(rootfs, blob, { diff_id = layer.diff_id })
---```
---Raises `digest`, `layer` (names layer and entry), `not_found`, `no_space`, `io`, `interrupted`.
function core.flatten_layer(rootfs, blob, options) end

---Something to put into an image, or to take out of it.
---@class banger.entry
---@field path string # missing parents are made, 0:0 0755; links in it are resolved inside the image, ".." by name before that
---@field type? "file"|"dir"|"symlink"|"hardlink"|"char"|"block"|"fifo"|"remove" # default: file with content or source, symlink with target
---@field content? string # of a file
---@field source? string # a file on this machine, instead of content
---@field target? string # of a symlink or hardlink
---@field major? integer # of a device
---@field minor? integer
---@field mode? integer # permissions; default 0644, directories 0755
---@field uid? integer # default 0
---@field gid? integer # default 0
---@field mtime? number # default: the image's epoch
---@field xattrs? table<string, string>
---@field keep? boolean # a file that replaces one in an image keeps its time of birth and what chattr set
---@field why? string # for reports; `banger.inject` leaves it out
---@field item? string # the switch it belongs to, of a plan; left out too
---@field by? string # the image recipe that asked for it; left out too

---@class banger.inject_options
---@field dry_run? boolean # check that it can be done, and write nothing
---@field seen? banger.image_file # only if the image is still what this handle was opened from

---Put entries into a rootfs, or into a finished image. A file never replaces a
---directory that is not empty; removing what is absent is fine; a directory that
---is there gets the attributes given and keeps what it holds. An image is changed
---only when everything fits, and when nothing else uses it: a machine that runs, a mount. Calls
---at the same time, also from several programs, follow each other.
---@param where banger.rootfs|string # a rootfs, or the path of an image
---@param entries banger.entry[]
---@param options? banger.inject_options # of an image
---@return { injected: integer }
---@example
---```lua
---banger.inject("out.ext4", { { path = "/etc/hostname", content = "vm\n" } })
---```
---Raises `usage`, `not_found` (a source), `no_space`, `ext4`, `io` (the image is in use, for one), `changed`
---(it was written, or replaced, meanwhile), `interrupted`.
function core.inject(where, entries, options) end

---@class banger.mkext4_options
---@field size? integer|string # of the file: bytes, "4G", or "min"; default: what is needed, and headroom
---@field free? integer|string # exact headroom instead: bytes or "512M"; default 10 % of the content and 64 MiB
---@field label? string # at most 16 bytes; default none
---@field uuid? string # default of `banger.mkext4`: from the seed
---@field hash_seed? string # of directories, a UUID; default of `banger.mkext4`: from the seed
---@field inodes? integer # default: a tenth and 1024 more than used, or one per 16 KiB
---@field journal? boolean # default true
---@field epoch? integer # the time that stands for now; default 0
---@field sparse? boolean # do not store blocks of zeros; default true
---@field seed? string # any text, `banger.mkext4` makes UUID and hash seed of it; default: the rootfs's chain id

---@class banger.mkext4_info
---@field path string
---@field size integer # bytes of the file
---@field used integer # bytes
---@field free integer # bytes
---@field inodes integer
---@field inodes_used integer
---@field inodes_free integer
---@field label string
---@field uuid string
---@field block_size integer # 4096
---@field journal_bytes integer

---Finish a rootfs as an ext4 image. The core takes sizes as integers or "min";
---`banger.mkext4` takes strings such as "4G" too.
---@param rootfs banger.rootfs # closed afterwards
---@param path string # appears whole or not at all; an older file is replaced
---@param options? banger.mkext4_options
---@return banger.mkext4_info
---@example
---```lua
---local info = banger.mkext4(rootfs, "out.ext4", { free = "512M", label = "root" })
---```
---Raises `usage`, `no_space` (with `needed` and `given`), `ext4`, `io`, `interrupted`.
function core.mkext4(rootfs, path, options) end

---Run e2fsprogs' debugfs once with a batch of commands. Arguments may hold any
---bytes; names that debugfs cannot take are given as their inode. With `write`, an image
---that something else uses is left alone, and others who change it are waited for.
---@param path string # of the image
---@param commands string[][] # the command, then its arguments
---@param options? { write?: boolean } # default false
---@return string[] outputs # one a command
---@example
---```lua
---banger.debugfs_batch("out.ext4", { { "set_inode_field", "/etc/shadow", "mode", "0100640" } }, { write = true })
---```
---Raises `ext4` at the first command that failed, `not_found`, `io` (the image is in use, for one), `interrupted`.
function core.debugfs_batch(path, commands, options) end

---A finished image, to read.
---@class banger.image_file: banger.tree
local Image = {}

---The file that it is in, as it was named.
---@return string
---@example
---```lua
---print(image:path())
---```
function Image:path() end

---See what the file holds by now: `banger.inject` and others put a changed one in its place,
---of which a handle that was open before knows nothing.
---@example
---```lua
---banger.inject(image:path(), { { path = "/etc/hostname", content = "vm\n" } })
---image:refresh()
---```
---Raises `not_found`, `ext4`, `io`; the handle stays as it was then.
function Image:refresh() end

---Open a finished image to read it.
---@param path string
---@return banger.image_file
---@example
---```lua
---local image <close> = banger.open "out.ext4"
---print(image:read "/etc/os-release")
---```
---Raises `not_found`, `ext4`, `io`.
function core.open(path) end

---A tar archive of images, to read in any order. Closed by `<close>`, `:close()` or
---the collector; what was unpacked for it goes away then.
---@class banger.archive
---@field name string # for messages: the path, or "standard input"
---@field path string # what to open to read the ranges that `find` gives, while this is open
local Archive = {}

---Where a file's content lies. Links are followed inside the archive; of files with
---one name the last counts.
---@param name string # "a/b" is also found by "./a/b" and "/a/b"; no ".." is
---@return { offset: integer, size: integer }? # nil when no file can be found
---@return string? why # such as "is a directory", when nil
---@example
---```lua
---local place, why = archive:find "manifest.json"
---```
function Archive:find(name) end

---A whole file.
---@param name string
---@param limit integer # bytes, at most 1 GiB; a longer file is an error of code layer
---@return string
---@example
---```lua
---local text = archive:read("manifest.json", 4 * 1024 * 1024)
---```
---Raises `not_found`, `layer`, `io`.
function Archive:read(name, limit) end

---Whether a file is compressed by gzip or zstd, told by its first bytes.
---@param name string
---@return boolean
---@example
---```lua
---if archive:is_compressed "layer.tar" then print "its diff_id is not its digest" end
---```
---Raises `not_found`, `io`.
function Archive:is_compressed(name) end

---The names of all that is no directory, sorted by their bytes.
---@return string[]
---@example
---```lua
---for _, name in ipairs(archive:names()) do print(name) end
---```
function Archive:names() end

---Let go. Closing twice is fine; so is `<close>`.
---@example
---```lua
---archive:close()
---```
function Archive:close() end

---Open a tar archive. What is compressed by gzip or zstd, or comes through a pipe, is
---written once into a file without a name in $TMPDIR, else /tmp.
---@param path string # "-" is standard input
---@return banger.archive
---@example
---```lua
---local archive <close> = core.archive "image.tar"
---print(#archive:names())
---```
---Raises `not_found`, `usage` (a directory, a terminal), `layer` (no tar, or a bad one),
---`no_space`, `io`, `interrupted`.
function core.archive(path) end

---What Lua's own libraries lack of the machine.
---@class banger.host
local host = {}

---Whether a descriptor is a terminal.
---@param fd integer
---@return boolean
---@example
---```lua
---if banger.host.isatty(2) then io.stderr:write "\27[1m" end
---```
function host.isatty(fd) end

---Whether stdin is a terminal whose keys reach us: those of one in the background do not.
---@return boolean
---@example
---```lua
---if banger.host.has_terminal() then print "type something" end
---```
function host.has_terminal() end

---The width of a terminal.
---@param fd integer
---@return integer? # columns; nil when it is no terminal
---@example
---```lua
---local width = banger.host.columns(2) or 80
---```
function host.columns(fd) end

---A clock that only goes forward, to measure with.
---@return number seconds
---@example
---```lua
---local begun = banger.host.clock()
---```
function host.clock() end

---The frequency of the processor's time stamp counter, measured in about 30 ms. QEMU's
---software emulation shows a guest the same counter.
---@return integer? kHz # nil where there is none
---@example
---```lua
---local khz = banger.host.tsc_khz()
---```
function host.tsc_khz() end

---What is at a path of this machine, links followed.
---@param path string
---@return { type: string, size: integer }? # nil when nothing can be found there
---@example
---```lua
---if banger.host.stat "out.ext4" then print "it is there" end
---```
function host.stat(path) end

---@class banger.host_lstat
---@field type string
---@field size integer
---@field mode integer # permissions, 0 to 07777
---@field uid integer
---@field gid integer
---@field target? string # of a link

---What is at a path of this machine, be it a link.
---@param path string
---@return banger.host_lstat? # nil when nothing can be found there
---@example
---```lua
---local st = banger.host.lstat "overlay/etc/motd"
---```
---Raises `io` for a link that cannot be read.
function host.lstat(path) end

---A path of this machine, absolute and without links.
---@param path string
---@return string? # nil when nothing is there
---@example
---```lua
---print(banger.host.realpath ".")
---```
function host.realpath(path) end

---Write a file that appears whole or not at all, in place of what has its name: file and name are
---on the disk afterwards. A link is followed. `banger.output` writes to pipes too.
---@param path string
---@param content string
---@example
---```lua
---banger.host.publish("report.html", page)
---```
---Raises `usage` (a directory, what is no file), `no_space`, `io`.
function host.publish(path, content) end

---Give a whole file its name, in place of what has it: file and name are on the disk
---afterwards.
---@param from string
---@param to string # on the same file system
---@example
---```lua
---banger.host.rename("out.ext4.new", "out.ext4")
---```
---Raises `not_found`, `io`.
function host.rename(from, to) end

---The digest of a string.
---@param data string
---@return string # "sha256:<hex>"
---@example
---```lua
---assert(banger.host.sha256(text) == descriptor.digest)
---```
function host.sha256(data) end

---Read a whole file of this machine.
---@param path string
---@param limit integer # bytes; a longer file is an error of code usage
---@return string
---@example
---```lua
---local text = banger.host.read_file("index.json", 4 * 1024 * 1024)
---```
---Raises `not_found`, `io`, `usage`.
function host.read_file(path, limit) end

---The names in a directory of this machine, sorted by their bytes.
---@param path string
---@return string[]? # without "." and ".."; nil when there is no such directory
---@example
---```lua
---for _, name in ipairs(banger.host.list "/etc/containers/certs.d" or {}) do print(name) end
---```
---Raises `io`, such as where it may not be read.
function host.list(path) end

---@class banger.run_options
---@field timeout? number # seconds, after which the program is killed; default 60, at most a day
---@field limit? integer # bytes of stdout, and of stderr; default 1 MiB

---@class banger.run_result
---@field status integer # the exit status; 128 and the signal's number when one ended it
---@field out string # stdout
---@field err string # the beginning of stderr, as much as the limit allows

---Run a program of this machine to its end, without a shell. It gets this process's
---environment. No message of an error holds what it was given or what it printed.
---@param argv string[] # the program, looked for in PATH, and its arguments
---@param input? string # for its stdin; default ""
---@param options? banger.run_options
---@return banger.run_result
---@example
---```lua
---local answer = banger.host.run({ "docker-credential-pass", "get" }, "example.com")
---if answer.status == 0 then print(#answer.out) end
---```
---Raises `not_found` (no such program), `io` (it took too long, printed more than the
---limit on stdout, or could not be started), `interrupted`. The program is killed then.
function host.run(argv, input, options) end

---@class banger.foreground_options
---@field timeout? number # seconds, after which the program is ended; default: never
---@field files? string[] # contents of files without a name: what the program opens as /dev/fd/3, 4, ...; at most 15
---@field farewell? string # what the program is told before it is ended, on a socket that is its descriptor after the files
---@field patience? number # seconds that it has then before SIGTERM; default 0
---@field to_stderr? boolean # what it prints on stdout goes to our stderr
---@field has_keys? boolean # Ctrl-C and Ctrl-\ are for the program alone: this one goes on

---@class banger.foreground_result
---@field status integer # the exit status; 128 and the signal's number when one ended it
---@field timed_out boolean # it was ended by SIGTERM, after five more seconds by SIGKILL
---@field tail string # the last 64 KiB of its stdout

---Run a program to its end with this process's own standard streams, such as on its
---terminal. What it prints on stdout passes through, and its end is kept.
---@param argv string[] # the program, looked for in PATH, and its arguments
---@param options? banger.foreground_options
---@return banger.foreground_result
---@example
---```lua
---local result = banger.host.foreground({ "cat", "/dev/fd/3" }, { files = { "text" } })
---```
---Raises `not_found` (no such program), `io`, `usage` (too many files), `interrupted`. The
---program is ended then, and the terminal's modes are as they were.
function host.foreground(argv, options) end

---This machine's architecture by its name in image configs, such as "amd64".
---@return string
---@example
---```lua
---local mine = "linux/" .. banger.host.arch()
---```
function host.arch() end

---Agents in machines: `banger-init agent`, at vsock, a virtio-serial port or a socket.
---@class banger.agent
core.agent = {}

---Connect to the agent of a machine. `vsock:CID[:PORT]`; `unix:PATH`, the agent's own
---socket or that of QEMU's virtio-serial port; `hybrid:PATH[:PORT]`, the vsock that
---Firecracker and cloud-hypervisor have at a socket. The port is 1024 by default.
---@param address string
---@param options? { wait?: number } # wait: seconds that the machine has to get ready; without it, it has to be
---@return banger.Agent
---@example
---```lua
---local agent <close> = banger.agent.connect("vsock:3", { wait = 30 })
---local result = agent:run { "uname", "-r" }
---print(result.code, result.out)
---```
---Raises `usage` (no such kind of address, or an agent of another version), `not_found`
---(no such socket), `network` (no agent answers), `interrupted`.
function core.agent.connect(address, options) end

---A connection to an agent, for one request at a time. Close it when done; what still
---runs is hung up then.
---@class banger.Agent
local Agent = {}

---@class banger.agent_command
---@field [integer] string # the program and its arguments
---@field env? string[] # "NAME=value", over the image's environment
---@field cwd? string # default "/"
---@field user? string # name|uid[:group|gid]; default root
---@field input? string # what it reads; default nothing
---@field timeout? number # seconds; default none
---@field limit? integer # bytes of stdout, and of stderr; default 16 MiB
---@field stdio? boolean # stdin, stdout and stderr are ours; nothing is collected then
---@field stdin? boolean # stdin alone is ours
---@field no_stdin? boolean # with stdio or stdin: it has nothing to read
---@field signals? boolean # what would interrupt us is passed on to it; three SIGINTs in a row still do
---@field tty? boolean # with stdio: it gets a terminal, and ours passes on every key

---@class banger.agent_result
---@field code integer # the exit code; 128 + signal when that killed it; 127 not found, 126 not executable, 125 no such user or directory
---@field signal? integer
---@field out? string # without stdio
---@field err? string

---Run a command to its end. What it leaves behind is not waited for.
---@param command banger.agent_command
---@return banger.agent_result
---@example
---```lua
---local result = agent:run { "cat", "/proc/uptime", timeout = 10 }
---if result.code == 0 then print(result.out) end
---```
---Raises `io` (too much output, too late), `network`, `interrupted`; after these the
---connection is closed and the command hung up. `usage` for more than 64 KiB of arguments.
function Agent:run(command) end

---Copy a file of the host into the machine, with its mode; root's. It appears whole or
---not at all, and replaces a file that is there.
---@param from string # on the host
---@param guest string
---@example
---```lua
---agent:put("build/tool", "/usr/local/bin/tool")
---```
---Raises `not_found`, `usage` (not a regular file), `io` (with the machine's words), `network`, `interrupted`.
function Agent:put(from, guest) end

---Copy a file of the machine to the host, with its mode but for setuid, setgid and
---sticky. It appears whole or not at all.
---@param guest string
---@param to string # on the host
---@example
---```lua
---agent:get("/var/log/messages", "messages")
---```
---Raises `not_found`, `io`, `network`, `interrupted`.
function Agent:get(guest, to) end

---Close the connection; more than once is fine.
---@example
---```lua
---agent:close()
---```
function Agent:close() end

---Make a directory of a name that nothing has, which is this user's alone.
---@param prefix string # of its path
---@return string path
---@example
---```lua
---local dir = banger.host.make_temp_dir "/tmp/edit."
---```
---Raises `not_found`, `no_space`, `io`.
function host.make_temp_dir(prefix) end

---Make a directory, of mode 0700.
---@param path string
---@example
---```lua
---banger.host.make_dir "out"
---```
---Raises `not_found`, `no_space`, `io` (something is there).
function host.make_dir(path) end

---Make a symbolic link.
---@param target string
---@param path string
---@example
---```lua
---banger.host.make_symlink("/usr/bin", "out/bin")
---```
---Raises `not_found`, `no_space`, `io` (something is there).
function host.make_symlink(target, path) end

---Give a file another name.
---@param existing string # links are not followed
---@param path string
---@example
---```lua
---banger.host.make_hardlink("out/a", "out/b")
---```
---Raises `not_found`, `no_space`, `io` (something is there).
function host.make_hardlink(existing, path) end

---@class banger.host_attributes
---@field uid? integer # a link's own, as the time
---@field gid? integer
---@field mode? integer # 0 to 07777; not for links
---@field mtime? integer # seconds since 1970
---@field mtime_nsec? integer

---Set attributes of a file of this machine: those that are given.
---@param path string
---@param attributes banger.host_attributes
---@example
---```lua
---banger.host.set_attributes("out/a", { mode = tonumber("755", 8), mtime = 0 })
---```
---Raises `not_found`, `io`.
function host.set_attributes(path, attributes) end

---Make a named pipe or a device node, of mode 0600.
---@param path string
---@param type "fifo"|"char"|"block"
---@param major? integer # of a device
---@param minor? integer
---@return boolean # false: this user, or this file system, may not have one
---@return string? why # then
---@example
---```lua
---local made, why = banger.host.make_node("out/null", "char", 1, 3)
---```
---Raises `not_found`, `no_space`, `io` (something is there).
function host.make_node(path, type, major, minor) end

---Set an extended attribute of a file of this machine; of a link its own.
---@param path string
---@param name string
---@param value string
---@return boolean # false: this user, or this file system, may not have it
---@return string? why # then
---@example
---```lua
---local kept, why = banger.host.set_xattr("out/a", "user.note", "hello")
---```
---Raises `not_found`, `io`.
function host.set_xattr(path, name, value) end

---Rename a file or directory, when nothing has the new name.
---@param from string
---@param to string # on the same file system
---@return boolean # false: something has it
---@example
---```lua
---if not banger.host.place("out.new", "out") then print "out is there" end
---```
---Raises `not_found`, `io`.
function host.place(from, to) end

return core
