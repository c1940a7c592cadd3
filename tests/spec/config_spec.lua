local config = require "banger.config"

local ID = "sha256:" .. ("d"):rep(64)

local function text(fields)
  return ('{"os":"linux","architecture":"amd64"%s,"rootfs":%s}'):format(
    fields.created and ',"created":' .. fields.created or "",
    fields.rootfs or ('{"type":"layers","diff_ids":["%s"]}'):format(ID))
end

local function refused(body, message)
  assert.same({ nil, message }, { config.parse(body) })
end

describe("configs", function()
  it("are read", function()
    assert.same({
      config = { Cmd = { "/bin/sh" } }, created = 1577934245, diff_ids = { ID },
      platform = { os = "linux", architecture = "arm", variant = "v6" },
    }, config.parse(('{"os":"linux","architecture":"arm","variant":"v6","created":"2020-01-02T03:04:05.6Z",'
      .. '"config":{"Cmd":["/bin/sh"],"Env":null},"rootfs":{"type":"layers","diff_ids":["%s"]}}'):format(ID)))
  end)

  it("may lack a time and a config", function()
    local parsed = config.parse(text {})
    assert.is_nil(parsed.created)
    assert.same({}, parsed.config)
    assert.is_nil(config.parse(text { created = "null" }).created)
  end)

  it("are refused with a reason", function()
    refused("[", "is not JSON: Expected value but found T_END at character 2")
    refused('{"rootfs":{"diff_ids":[]}}', "does not say its os and architecture")
    refused('{"os":"linux","architecture":"amd64"}', "has no rootfs.diff_ids")
    refused(text { rootfs = "{}" }, "has no rootfs.diff_ids")
    refused(text { rootfs = '{"diff_ids":[],"type":"squashfs"}' }, "has a rootfs of type 'squashfs'; 'layers' expected")
    refused(text { rootfs = ('{"diff_ids":["%s","beef"]}'):format(ID) },
      "has 'beef' as diff_id 2; sha256 and 64 lowercase hexadecimal digits expected")
    refused(text { created = '"yesterday"' }, "has a bad 'created': 'yesterday' is no time as RFC 3339 has it")
    refused(text { created = "7" }, "has a bad 'created': '7.0' is no time as RFC 3339 has it")
  end)

  it("must list as many layers as the manifest", function()
    local parsed = config.parse(text {})
    assert.is_true(config.check_layers(parsed, { layers = { {} } }))
    assert.same({ nil, "has 1 diff_ids; the manifest has 2 layers" }, { config.check_layers(parsed, { layers = { {}, {} } }) })
    assert.same({ nil, "has 1 diff_ids; the manifest has 0 layers" }, { config.check_layers(parsed, { layers = {} }) })
  end)
end)

describe("times", function()
  -- The numbers are date(1)'s: date -u -d TEXT +%s.
  it("are read to the second", function()
    for time, seconds in pairs {
      ["1970-01-01T00:00:00Z"] = 0,
      ["2020-01-02T03:04:05Z"] = 1577934245,
      ["2020-01-02T03:04:05.999999999Z"] = 1577934245,
      ["2020-01-02t03:04:05z"] = 1577934245,
      ["2024-02-29T12:00:00+02:00"] = 1709200800,
      ["2024-02-29T12:00:00.5-03:30"] = 1709220600,
      ["1969-12-31T23:59:59Z"] = -1,
      ["1900-03-01T00:00:00Z"] = -2203891200,
      ["2038-01-19T03:14:08Z"] = 2147483648,
      ["2100-02-28T23:59:59Z"] = 4107542399,
      ["2000-12-31T23:59:60Z"] = 978307200,
      ["0001-01-01T00:00:00Z"] = -62135596800,
      ["9999-12-31T23:59:59Z"] = 253402300799,
    } do
      assert.equal(seconds, (config.parse_time(time)))
      assert.equal("integer", math.type(config.parse_time(time)))
    end
  end)

  it("that are none are refused", function()
    for _, time in ipairs {
      "", "2020-01-02", "2020-01-02T03:04:05", "2020-13-01T00:00:00Z", "2020-00-01T00:00:00Z", "2020-01-32T00:00:00Z",
      "2023-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2020-01-01T24:00:00Z", "2020-01-01T00:60:00Z",
      "2020-01-01T00:00:61Z", "2020-01-01T00:00:00+25:00", "2020-01-01T00:00:00 Z", "2020-01-01T00:00:00.Z",
      "x2020-01-01T00:00:00Z", "2020-1-1T0:0:0Z",
    } do
      assert.same({ nil, ("'%s' is no time as RFC 3339 has it"):format(time) }, { config.parse_time(time) })
    end
  end)

  it("of an image: SOURCE_DATE_EPOCH, created, 1970", function()
    assert.equal(7, config.epoch({ created = 5 }, "7"))
    assert.equal(0, config.epoch({ created = 5 }, "0"))
    assert.equal(5, config.epoch({ created = 5 }, nil))
    assert.equal(5, config.epoch({ created = 5 }, ""))
    assert.equal(0, config.epoch({}, nil))
    assert.equal(0, config.epoch({ created = -62135596800 }, nil))
    for _, value in ipairs { "x", "-1", "1.5", "1e3", " 1", "0x10", "99999999999999999999" } do
      assert.same({ nil, ("SOURCE_DATE_EPOCH is '%s'; whole seconds since 1970 expected"):format(value) },
        { config.epoch({ created = 5 }, value) })
    end
  end)
end)
