local challenge = require "banger.challenge"

-- name=value pairs in order, so that a case reads as one line
local function show(list)
  local out = {}
  for i, item in ipairs(list) do
    local params = {}
    for name, value in pairs(item.params) do
      params[#params + 1] = name .. "=" .. value
    end
    table.sort(params)
    table.insert(params, 1, item.token68 and item.scheme .. " <" .. item.token68 .. ">" or item.scheme)
    out[i] = table.concat(params, " ")
  end
  return table.concat(out, " | ")
end

describe("challenges", function()
  local function parses(text, expected)
    local list, message = challenge.parse(text)
    assert.is_nil(message)
    assert.equal(expected, show(list))
  end

  it("of registries", function()
    parses('Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull"',
      "bearer realm=https://auth.docker.io/token scope=repository:library/nginx:pull service=registry.docker.io")
    parses('Basic realm="Registry Realm"', "basic realm=Registry Realm")
    parses('Bearer realm="https://a/t",service="a",scope="",error="invalid_token"',
      "bearer error=invalid_token realm=https://a/t scope= service=a")
    parses('Basic realm="a", charset="UTF-8"', "basic charset=UTF-8 realm=a")
  end)

  it("have commas in their quotes", function()
    parses('Bearer realm="https://a/t",scope="repository:a/b:pull,push,delete"',
      "bearer realm=https://a/t scope=repository:a/b:pull,push,delete")
    parses('Bearer a="b, Basic realm=c"', "bearer a=b, Basic realm=c")
  end)

  it("have escapes in their quotes", function()
    parses([[Basic realm="a \"b\" \\ c\d"]], [[basic realm=a "b" \ cd]])
    parses([[Basic realm="\,"]], [[basic realm=,]])
    parses('Basic realm="a\tb"', "basic realm=a\tb")
    parses('Basic realm="é"', "basic realm=é")
    parses('Basic realm=""', "basic realm=")
  end)

  it("stand in one field together", function()
    parses('Bearer realm="https://a/t", Basic realm="b"', "bearer realm=https://a/t | basic realm=b")
    parses("Negotiate, Basic realm=b", "negotiate | basic realm=b")
    parses("Negotiate", "negotiate")
    parses('Negotiate abc123==, NTLM, Digest realm="x", nonce="y"', "negotiate <abc123==> | ntlm | digest nonce=y realm=x")
    parses('Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"',
      'newauth realm=apps title=Login to "apps" type=1 | basic realm=simple')
    parses('Basic realm="a", Basic realm="b"', "basic realm=a | basic realm=b")
  end)

  it("have any letters, and spaces where they may", function()
    parses('BEARER Realm="https://a/t",SERVICE=a', "bearer realm=https://a/t service=a")
    parses('  bEaReR   realm = "https://a/t" ,\t service\t=\ta  ', "bearer realm=https://a/t service=a")
  end)

  it("have empty elements between them", function()
    parses(', ,Bearer realm="https://a/t",,service=a,, ,Basic realm=b,,', "bearer realm=https://a/t service=a | basic realm=b")
    parses("Negotiate,", "negotiate")
    parses("Basic ,", "basic")
  end)

  it("have tokens with all the signs that they may", function()
    parses("Negotiate a-b._~+/9==", "negotiate <a-b._~+/9==>")
    parses("x!#$%&'*+-.^_`|~ a!b=c|d", "x!#$%&'*+-.^_`|~ a!b=c|d")
    -- what the grammar says, though nobody means it
    parses("Basic realm=", "basic <realm=>")
    parses("Basic realm", "basic <realm>")
  end)

  it("that are none are refused with a reason", function()
    local function refused(text, why)
      assert.same({ nil, why }, { challenge.parse(text) })
    end
    refused("", "is empty")
    refused(" , ,\t", "is empty")
    refused('="x"', "is malformed: a scheme is missing at byte 1")
    refused('"Basic"', "is malformed: a scheme is missing at byte 1")
    refused('Basic realm="a", "b"', "is malformed: a scheme is missing at byte 18")
    refused("Basic\nrealm=a", "is malformed: 'Basic' is followed by neither space nor comma")
    refused("Basic=a", "is malformed: 'Basic' is followed by neither space nor comma")
    refused('Basic"realm"', "is malformed: 'Basic' is followed by neither space nor comma")
    refused('Basic realm="a', "is malformed: a quoted text does not end")
    refused('Basic realm="a\\', "is malformed: a quoted text does not end")
    refused('Basic realm="a\\"', "is malformed: a quoted text does not end")
    refused('Basic realm="a\nb"', "is malformed: a control character is in a quoted text")
    refused('Basic realm="a\0b"', "is malformed: a control character is in a quoted text")
    refused("Basic realm=, x=y", "is malformed: 'x' is followed by neither space nor comma")
    refused("Basic a=b, realm=", "is malformed: the parameter 'realm' has no value")
    refused('Basic realm="a" realm2="b"', "is malformed: a comma is missing at byte 17")
    refused('Bearer realm="a" Basic realm="b"', "is malformed: a comma is missing at byte 18")
    refused("Bearer realm=https://a/t", "is malformed: a comma is missing at byte 19")
    refused('Basic realm="a"x', "is malformed: a comma is missing at byte 16")
    refused("Negotiate abc== x", "is malformed: the parameter 'abc' has no value")
    refused("Negotiate <abc>", "is malformed: 'Negotiate' is followed by neither a parameter nor a token")
    refused('Basic realm="a", realm="b"', "is malformed: the parameter 'realm' is there twice")
    refused('Basic realm="a", REALM=b', "is malformed: the parameter 'realm' is there twice")
    refused(("x"):rep(16 * 1024 + 1), "has 16385 bytes; at most 16384 are accepted")
  end)

  it("that are hostile take no time", function()
    for _, part in ipairs { " ", ",", "a ", "a=", 'a="', '"', "\\", "a,", "a=b,", 'a="\\"', "=" } do
      local text = "Basic " .. part:rep(16000 // #part)
      local begun = os.clock()
      challenge.parse(text)
      challenge.parse('Basic realm="' .. part:rep(16000 // #part))
      assert.is_true(os.clock() - begun < 60, part)
    end
  end)
end)

describe("choosing a challenge", function()
  local function pick(text)
    local found, message = challenge.pick(assert(challenge.parse(text)))
    return found and show { found } or message
  end

  it("prefers a Bearer", function()
    assert.equal("bearer realm=https://a/t", pick 'Basic realm="b", Bearer realm="https://a/t"')
    assert.equal("bearer realm=http://127.0.0.1:5001/token?x=1", pick 'Bearer realm="http://127.0.0.1:5001/token?x=1"')
    assert.equal("bearer realm=HTTPS://a", pick 'Bearer realm="HTTPS://a", Bearer realm="https://b"')
  end)

  it("passes over a Bearer that nothing can be asked from", function()
    assert.equal("bearer realm=https://b/t", pick 'Bearer realm="a", Bearer realm="https://b/t"')
    assert.equal("basic realm=b", pick 'Bearer realm="a", Basic realm="b"')
    assert.equal("basic realm=b", pick 'Bearer, Basic realm="b"')
  end)

  it("takes a Basic, whatever stands beside it", function()
    assert.equal("basic realm=b", pick 'Negotiate, Basic realm="b", Digest realm="c"')
    assert.equal("basic", pick "Basic")
  end)

  it("says why there is none", function()
    local function no_url(realm)
      -- What it is may be a secret.
      assert.equal("has a realm that is no http or https URL without a user", pick(('Bearer realm="%s"'):format(realm)))
    end
    assert.equal("has no realm to ask for a token", pick 'Bearer service="a"')
    assert.equal("has no realm to ask for a token", pick "Bearer abc")
    for _, realm in ipairs {
      "", "token", "/token", "//a/token", "ftp://a/token", "file:///etc/passwd", "https://", "https:///token",
      "https://a b/", "https://user@a/", "https://u:p@a/", "https://a/#x", "https://a\tb/", "https://é/", "javascript://a",
    } do
      no_url(realm)
    end
    assert.equal("is none that can be answered: Bearer or Basic, but negotiate, digest", pick "Negotiate, Digest a=b")
  end)
end)
