--- Row 34: names are bytes.
local s = require "conformance.suite"
local file, dir, symlink, hardlink, is = s.file, s.dir, s.symlink, s.hardlink, s.is

local ODD = {
  "a\nb", "\n", "a b", " ", " leading", "trailing ", "\t", "quote'", 'quote"', "back\\slash", "\\", "\\n", "\\012",
  "%s%d%n", "%41", "*", "?", "[a]", "{a,b}", "$HOME", "`id`", "$(id)", ";", "&", "|", "<", ">", "#", "-rf", "--", "~",
  "a:b", "a=b", ",", "\1\2\3\127", "\27[31m", "caf\xc3\xa9", "cafe\xcc\x81", "\xef\xbb\xbfbom", "\xe2\x80\xae",
  "\xff", "\xfe\xff", "\x80abc", "abc\xc3", "\xed\xa0\x80", "\xc0\xaf", "\xf8\x88\x80\x80\x80", "latin-\xe9\xe8",
  "UPPER", "upper", "\xe6\x97\xa5\xe6\x9c\xac", "<12>", "\"\"",
}

--- Every odd name as a file, written by one kind of header.
local function odd(format)
  local layer, expect = {}, {}
  for i, name in ipairs(ODD) do
    local attrs = { format = format }
    if format == "pax" then
      attrs = { pax = { { "path", "d/" .. name } }, name = "ignored" }
    end
    layer[i] = file("d/" .. name, name, attrs)
    expect["d/" .. name] = name
  end
  return { row = "34", name = "odd bytes, " .. (format or "ustar"), layers = { layer }, expect = expect }
end

local N255, N250 = ("n"):rep(255), ("m"):rep(250)
local DEEP = (("p"):rep(250) .. "/"):rep(20) -- 5020 bytes

return {
  title = "names",
  cases = {
    odd(nil), odd "gnu", odd "pax", odd "v7",
    {
      row = "34", name = "binary names by hdrcharset=BINARY",
      layers = {
        {
          file("x", "1", { pax = { { "hdrcharset", "BINARY" }, { "path", "\xff\xfe-caf\xe9" } } }),
          symlink("y", "", { pax = { { "hdrcharset", "BINARY" }, { "path", "l" }, { "linkpath", "\xe9\xff" } } }),
        },
      },
      expect = { ["\xff\xfe-caf\xe9"] = "1", l = is.symlink "\xe9\xff" },
    },
    {
      row = "34", name = "composed and decomposed are two names",
      layers = { { file("\xc3\xa9", "nfc"), file("e\xcc\x81", "nfd") }, { file ".wh.\xc3\xa9" } },
      expect = { ["e\xcc\x81"] = "nfd" },
    },
    {
      row = "34", name = "odd names as whiteouts, link names and targets",
      layers = {
        {
          file("a\nb", "1"), file("\xff", "2"), file("c\"d", "3"), hardlink("h\n\xfe", "a\nb"), symlink("s\n", "\xff\n"),
          dir "d\n\xff/", file("d\n\xff/x\\", "4"),
        },
        { file ".wh.\xff", file "d\n\xff/.wh.x\\", file ".wh.c\"d" },
      },
      expect = {
        ["a\nb"] = "1", ["h\n\xfe"] = is.same "a\nb", ["s\n"] = is.symlink "\xff\n", ["d\n\xff"] = is.dir(),
      },
    },
    {
      row = "34", name = "255 bytes, of a file, directory, symlink, at the root and below",
      layers = {
        {
          file(N255, "1"), dir(("d"):rep(255) .. "/"), file(("d"):rep(255) .. "/" .. N255, "2"), symlink(("l"):rep(255), "x"),
          file("g/" .. ("\xff"):rep(255), "3", { format = "gnu" }),
        },
      },
      expect = {
        [N255] = "1", [("d"):rep(255)] = is.dir(), [("d"):rep(255) .. "/" .. N255] = "2",
        [("l"):rep(255)] = is.symlink "x", ["g/" .. ("\xff"):rep(255)] = "3",
      },
    },
    {
      -- The marker is longer than any name, but it is no name: what it hides is.
      row = "34", name = "a whiteout of a name of 255 bytes",
      layers = { { file(N255, "1"), file("a", "2") }, { file(".wh." .. N255) } },
      expect = { a = "2" },
    },
    {
      row = "34", name = "refused: a component of 256 bytes",
      layers = { { file("a", "x") }, { file("d/" .. ("n"):rep(256), "x") } },
      error = { code = "layer", layer = 2, entry = ("n"):rep(32), also = { "255" } },
    },
    {
      row = "34", name = "refused: a directory of 256 bytes on the way",
      layers = { { file(("n"):rep(256) .. "/a", "x", { format = "gnu" }) } },
      error = { code = "layer", layer = 1, entry = ("n"):rep(32), also = { "255" } },
    },
    {
      row = "34", name = "paths past 4096 bytes, in pax and in GNU headers",
      deep = true,
      layers = {
        { file(DEEP .. "a", "pax"), file(DEEP .. "b", "gnu", { format = "gnu" }) },
        { file(DEEP .. ".wh.a"), hardlink(DEEP .. "c", DEEP .. "b"), symlink("l", DEEP:sub(1, 250)) },
      },
      expect = {
        [DEEP .. "b"] = "gnu", [DEEP .. "c"] = is.same(DEEP .. "b"), l = is.symlink(DEEP:sub(1, 250)),
      },
    },
    {
      row = "34", name = "a path of 4096 bytes less one, and one of 4096",
      deep = true,
      layers = { { file((N250 .. "/"):rep(16) .. ("x"):rep(79), "1"), file((N250 .. "/"):rep(16) .. ("x"):rep(80), "2") } },
      expect = {
        [(N250 .. "/"):rep(16) .. ("x"):rep(79)] = "1", [(N250 .. "/"):rep(16) .. ("x"):rep(80)] = "2",
      },
    },
    {
      row = "34", name = "many names in one directory: more than a block, more than a level of index",
      layers = {
        (function()
          local layer = { dir "d/" }
          for i = 1, 3000 do layer[#layer + 1] = file(("d/%s-%d"):format(("long"):rep(50), i), "") end
          return layer
        end)(),
        (function()
          local layer = {}
          for i = 1, 3000, 3 do layer[#layer + 1] = file(("d/.wh.%s-%d"):format(("long"):rep(50), i)) end
          return layer
        end)(),
      },
      expect = (function()
        local expect = { d = is.dir() }
        for i = 1, 3000 do
          if i % 3 ~= 1 then expect[("d/%s-%d"):format(("long"):rep(50), i)] = is.file "" end
        end
        return expect
      end)(),
    },
    {
      row = "34", name = "names the image builder uses itself",
      layers = { { file("lost+found", "mine"), dir "boot/", file("boot/lost+found/x", "y"), file("journal", "z") } },
      expect = { ["lost+found"] = "mine", boot = is.dir(), ["boot/lost+found/x"] = "y", journal = "z" },
    },
    {
      row = "34", name = "a lost+found directory with its own metadata and children",
      layers = { { dir("lost+found/", { mode = s.oct "750", uid = 5 }), file("lost+found/#12", "x") } },
      expect = { ["lost+found"] = is.dir { mode = s.oct "750", uid = 5 }, ["lost+found/#12"] = "x" },
    },
    {
      row = "34", name = "a thousand levels",
      layers = { { file(("d/"):rep(1000) .. "f", "bottom") } },
      expect = { [("d/"):rep(1000) .. "f"] = "bottom" },
    },
  },
}
