"""An HTTP/1.1 reverse proxy that does wrong what it is told to do wrong.

    faults.py --upstream http://127.0.0.1:5000 --rules FILE --log FILE --ports FILE
              [--cert PEM --key PEM] [--upstream-ca PEM] < pipe

It listens on free ports: "main" on 127.0.0.1 is what the client is pointed at,
"other" on 127.0.0.2 is where redirects lead, and with a certificate both speak
TLS and "plain" on 127.0.0.2 does not. The ports go to --ports as JSON.
It is a forward proxy too: whatever host an absolute URL names, the upstream
answers, and CONNECT leads to the upstream's port.

The file --rules holds {"rate": bytes a second for everything together,
"rules": [...]}; for each request the first rule counts that fits and has some
uses left. What a rule may ask of a request:

    listener    "main", "other" or "plain"
    method      "GET"
    kind        "ping", "manifest", "blob", "tags" or "token" (anything else)
    path        a regular expression, found anywhere in path and query
    digest      the blob or manifest that is asked for
    range       whether there is a Range
    authorized  whether there is an Authorization
    skip        let so many that fit go by first
    times       be used up after so many
    after_uses  only if the same Authorization came with more requests than this

and what it does, before anything is sent to the client:

    delay       wait for so many seconds
    drop        close without an answer
    reset       the same, or the end of a cut, by RST
    raw         send this text instead of an answer, and close
    endless     "headers": headers without end; "body": a body without end
    status      answer with this status and headers and body, ask nobody else
    fill        { size, chunked }: the body is this long, of blanks
    date_after  Retry-After becomes the HTTP date in so many seconds
    redirect    "other" or "plain" (307 from main to that listener), or an URL
                that starts with "http"; status says which number, if not 307
    unauthorize take Authorization away on the way to the upstream
    no_range    take Range away: the answer is a 200 with everything
    shift       ask for a range that begins so many bytes later

and to the answer:

    headers     headers to set, or with false to drop
    replace     [from, to] in the body, which gets shorter or longer with it
    flip        the byte of the blob at this offset gets another value
    extra       so many bytes more than there should be, and said to be
    short       so many bytes less than there should be, and said to be
    length      Content-Length is off by so many; the body is as it was
    chunked     chunks and no Content-Length
    unsized     no Content-Length, the end of the connection is the end
    cut         the connection ends after so many bytes of the body
    stall       nothing more comes after so many bytes, until the client goes;
    trickle     with it: so many bytes a second come all the same

Each request's line in the log: id, at, ended, connection, listener, method,
path, host, kind, name, digest, range, authorization (its scheme), uses (how
often that Authorization came so far), cookie, accept, agent, status, bytes (of
the body, as sent), whole (all of it was sent), location, rule (its number).
"""

import argparse
import http.client
import http.server
import re
import select
import socket
import ssl
import struct
import threading
import time
import urllib.parse

from common import Log, Settings, complain, die_with_stdin, publish

CHUNK = 1 << 19
SKIPPED = {"connection", "keep-alive", "transfer-encoding", "content-length", "proxy-connection"}
ROUTES = [
    ("ping", re.compile(r"^/v2/?$")),
    ("manifest", re.compile(r"^/v2/(?P<name>.+)/manifests/(?P<ref>[^/]+)$")),
    ("blob", re.compile(r"^/v2/(?P<name>.+)/blobs/(?P<ref>[^/]+)$")),
    ("tags", re.compile(r"^/v2/(?P<name>.+)/tags/list$")),
]


class Gone(Exception):
    """The answer ends here, and the connection with it."""


class Limit:
    """A rate that all connections share."""

    def __init__(self):
        self.lock = threading.Lock()
        self.free_at = 0.0

    def take(self, count, rate):
        if not rate:
            return
        with self.lock:
            now = time.monotonic()
            # A sleep that took too long is made up for.
            self.free_at = max(self.free_at, now - 0.05) + count / rate
            wait = self.free_at - now
        if wait > 0.002:
            time.sleep(wait)


class Proxy:
    """What the listeners share."""

    def __init__(self, options):
        self.options = options
        self.upstream = urllib.parse.urlsplit(options.upstream)
        self.settings = Settings(options.rules)
        self.log = Log(options.log)
        self.limit = Limit()
        self.lock = threading.Lock()
        self.connections = 0
        self.uses = {}
        self.lent = {}
        self.addresses = {}

    def connect(self):
        host, port = self.upstream.hostname, self.upstream.port
        if self.upstream.scheme == "https":
            context = ssl.create_default_context(cafile=self.options.upstream_ca)
            return http.client.HTTPSConnection(host, port, timeout=60, context=context)
        return http.client.HTTPConnection(host, port, timeout=60)

    def choose(self, entry):
        """The rule that counts for a request, and the rate."""
        settings, used = self.settings.read()
        with self.lock:
            for i, rule in enumerate(settings.get("rules", [])):
                if not fits(rule, entry):
                    continue
                used[i] = used.get(i, 0) + 1
                skip = rule.get("skip", 0)
                if used[i] <= skip or used[i] > skip + rule.get("times", 1 << 60):
                    continue
                entry["rule"] = i + 1
                return rule, settings.get("rate")
        return {}, settings.get("rate")

    def count(self, authorization):
        with self.lock:
            self.uses[authorization] = self.uses.get(authorization, 0) + 1
            return self.uses[authorization]

    def lend(self, authorization):
        """A signature that stands for credentials, as of a signed URL."""
        with self.lock:
            signature = "%08x" % (len(self.lent) + 1)
            self.lent[signature] = authorization
            return signature


def fits(rule, entry):
    for key in ("listener", "method", "kind", "digest"):
        if key in rule and rule[key] != entry.get(key):
            return False
    if "redirect" in rule and "listener" not in rule and entry["listener"] != "main":
        return False
    if "path" in rule and not re.search(rule["path"], entry["path"]):
        return False
    if "range" in rule and rule["range"] != ("range" in entry):
        return False
    if "authorized" in rule and rule["authorized"] != ("authorization" in entry):
        return False
    return entry.get("uses", 0) > rule.get("after_uses", -1)


def classify(path):
    plain = urllib.parse.unquote(path.split("?")[0])
    for kind, pattern in ROUTES:
        match = pattern.match(plain)
        if match:
            found = {"kind": kind}
            found.update(match.groupdict())
            if found.get("ref", "").startswith("sha"):
                found["digest"] = found["ref"]
            return found
    return {"kind": "token"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 600

    def setup(self):
        super().setup()
        self.upstream = None
        with self.server.proxy.lock:
            self.server.proxy.connections += 1
            self.number = self.server.proxy.connections

    def finish(self):
        if self.upstream:
            self.upstream.close()
        try:
            super().finish()
        except OSError:
            pass

    def log_message(self, *_):
        pass

    # ---- one request -------------------------------------------------------

    def answer(self):
        proxy = self.server.proxy
        path = self.path
        if path.startswith("http://"):
            parts = urllib.parse.urlsplit(path)
            path = parts.path + ("?" + parts.query if parts.query else "")
        entry = {"connection": self.number, "listener": self.server.name, "method": self.command,
                 "path": self.path, "host": self.headers.get("Host", ""), "bytes": 0, "whole": False}
        entry.update(classify(path))
        for key, header in (("range", "Range"), ("cookie", "Cookie"), ("accept", "Accept"), ("agent", "User-Agent"),
                            ("proxy_authorization", "Proxy-Authorization")):
            if header in self.headers:
                entry[key] = ", ".join(self.headers.get_all(header))
        if "Authorization" in self.headers:
            entry["authorization"] = self.headers["Authorization"].split(" ")[0]
            entry["uses"] = proxy.count(self.headers["Authorization"])
        self.entry = proxy.log.begin(entry)
        self.sent_header = False
        try:
            rule, self.rate = proxy.choose(entry)
            self.apply(rule, path)
        except Gone:
            self.close_connection = True
        except (OSError, http.client.HTTPException) as error:
            self.entry["error"] = repr(error)
            self.close_connection = True
            if self.upstream:
                self.upstream.close()
                self.upstream = None
        except Exception as error:
            self.entry["error"] = repr(error)
            complain("faults.py: %s %s: %r" % (self.command, self.path, error))
            self.close_connection = True
        finally:
            proxy.log.end(self.entry)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def do_CONNECT(self):
        proxy = self.server.proxy
        self.entry = proxy.log.begin({"connection": self.number, "listener": self.server.name, "method": "CONNECT",
                                      "path": self.path, "kind": "connect", "bytes": 0, "status": 200})
        upstream = socket.create_connection((proxy.upstream.hostname, proxy.upstream.port))
        try:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            pair = {self.connection: upstream, upstream: self.connection}
            while True:
                for one in select.select(list(pair), [], [])[0]:
                    data = one.recv(CHUNK)
                    if not data:
                        return
                    pair[one].sendall(data)
                    self.entry["bytes"] += len(data) if one is upstream else 0
        except OSError:
            pass
        finally:
            self.close_connection = True
            upstream.close()
            proxy.log.end(self.entry)

    def apply(self, rule, path):
        if "delay" in rule:
            time.sleep(rule["delay"])
        if rule.get("drop"):
            self.hang_up(rule)
        if "raw" in rule:
            self.send(rule["raw"].encode("latin-1"))
            self.hang_up(rule)
        if "endless" in rule:
            self.send_endless(rule)
        if "redirect" in rule:
            self.redirect(rule)
        elif "status" in rule or "fill" in rule:
            self.invent(rule)
        else:
            self.pass_on(rule, path)

    def hang_up(self, rule):
        if rule.get("reset"):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            try:
                self.connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        raise Gone()

    def send(self, data):
        self.connection.sendall(data)

    def send_body(self, data, chunked=False):
        """A piece of the body: it counts, and it takes its time."""
        step = 1 << 16 if self.rate else len(data) or 1
        for at in range(0, len(data), step):
            piece = data[at:at + step]
            self.server.proxy.limit.take(len(piece), self.rate)
            if chunked:
                self.send(b"%x\r\n%s\r\n" % (len(piece), bytes(piece)))
            else:
                self.send(piece)
            self.entry["bytes"] += len(piece)

    def head(self, status, headers):
        self.entry["status"] = status
        lines = ["HTTP/1.1 %d %s" % (status, http.client.responses.get(status, "Unknown"))]
        lines += ["%s: %s" % pair for pair in headers]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    # ---- answers of our own ------------------------------------------------

    def drain(self):
        """Takes the body of a request off the connection."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                body += self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def invent(self, rule):
        self.drain()
        body = rule.get("body", "").encode("latin-1")
        fill = rule.get("fill", {})
        size = fill.get("size", len(body))
        headers = dict(rule.get("headers", {}))
        if "date_after" in rule:
            when = time.gmtime(time.time() + rule["date_after"])
            headers["Retry-After"] = time.strftime("%a, %d %b %Y %H:%M:%S GMT", when)
        if fill.get("chunked"):
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = size
        self.head(rule.get("status", 200), headers.items())
        if self.command == "HEAD":
            self.entry["whole"] = True
            return
        self.send_body(body[:size])
        blanks = b" " * min(CHUNK, size)
        while self.entry["bytes"] < size:
            self.send_body(blanks[:size - self.entry["bytes"]], fill.get("chunked"))
        if fill.get("chunked"):
            self.send(b"0\r\n\r\n")
        self.entry["whole"] = True

    def send_endless(self, rule):
        if rule["endless"] == "body":
            self.head(200, [("Content-Type", "application/vnd.oci.image.manifest.v1+json"),
                            ("Transfer-Encoding", "chunked")])
            while True:
                self.send_body(b" " * 65536, True)
        self.entry["status"] = 200
        self.send(b"HTTP/1.1 200 OK\r\n")
        count = 0
        while True:
            data = b"".join(b"X-More-%d: %s\r\n" % (count + i, b"x" * 1000) for i in range(64))
            count += 64
            self.send(data)
            self.entry["bytes"] += len(data)

    def redirect(self, rule):
        self.drain()
        to = rule["redirect"]
        if not to.startswith("http"):
            address = self.server.proxy.addresses[to]
            path = urllib.parse.urlsplit(self.path)
            query = (path.query + "&" if path.query else "") + "signature=" + self.server.proxy.lend(
                self.headers.get("Authorization"))
            to = "%s://%s%s?%s" % (address["scheme"], address["host"], path.path, query)
        self.entry["location"] = to
        headers = [("Location", to), ("Content-Length", 0)] + list(rule.get("headers", {}).items())
        self.head(rule.get("status", 307), headers)
        self.entry["whole"] = True

    # ---- answers of the upstream -------------------------------------------

    def pass_on(self, rule, path):
        response = self.ask(rule, path)
        headers = [(k, v) for k, v in response.getheaders() if k.lower() not in SKIPPED]
        length = response.getheader("Content-Length")
        length = int(length) if length is not None else None
        changed = {k.lower(): (k, v) for k, v in rule.get("headers", {}).items()}
        headers = [(k, v) for k, v in headers if k.lower() not in changed]
        headers += [(k, v) for k, v in changed.values() if v is not False]
        if rule.get("no_range"):
            headers = [(k, v) for k, v in headers if k.lower() != "accept-ranges"]
        body = None
        if "replace" in rule and self.command != "HEAD":
            body = response.read().replace(*[s.encode("latin-1") for s in rule["replace"]])
            length = len(body)
        if length is not None and response.status < 300:
            length += rule.get("extra", 0) - rule.get("short", 0)
        chunked = rule.get("chunked") or length is None and "unsized" not in rule
        if "unsized" in rule:
            headers.append(("Connection", "close"))
            self.close_connection = True
        elif chunked and self.command != "HEAD":
            headers.append(("Transfer-Encoding", "chunked"))
        elif length is not None:
            headers.append(("Content-Length", length + rule.get("length", 0)))
        if rule.get("length"):
            self.close_connection = True
        self.head(response.status, headers)
        if self.command == "HEAD" or response.status in (204, 304):
            response.read()
            self.entry["whole"] = True
            return
        self.transfer(response, body, length, rule, chunked and "unsized" not in rule)
        if rule.get("length"):
            self.hang_up({})

    def ask(self, rule, path):
        dropped = set(SKIPPED)
        added = {}
        if rule.get("unauthorize"):
            dropped.add("authorization")
        signature = re.search(r"[?&]signature=(\w+)", path)
        if signature:
            path = path[:signature.start()]
            lent = self.server.proxy.lent.get(signature.group(1))
            if lent:
                dropped.add("authorization")
                added["Authorization"] = lent
        wanted = re.match(r"bytes=(\d+)-(\d*)$", self.headers.get("Range", ""))
        if rule.get("no_range"):
            dropped.add("range")
        elif wanted and "shift" in rule:
            dropped.add("range")
            added["Range"] = "bytes=%d-%s" % (int(wanted.group(1)) + rule["shift"], wanted.group(2))
        body = self.drain()
        headers = [(k, v) for k, v in self.headers.items() if k.lower() not in dropped] + list(added.items())
        if body or self.command in ("POST", "PUT", "PATCH"):
            headers.append(("Content-Length", len(body)))
        try:
            return self.forward(path, headers, body)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # The upstream was tired of an idle connection.
            self.upstream.close()
            return self.forward(path, headers, body)

    def forward(self, path, headers, body):
        if not self.upstream:
            self.upstream = self.server.proxy.connect()
        self.upstream.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
        for key, value in headers:
            self.upstream.putheader(key, value)
        self.upstream.endheaders(body or None)
        return self.upstream.getresponse()

    def transfer(self, response, body, length, rule, chunked):
        first = 0
        content_range = re.match(r"bytes (\d+)-", response.getheader("Content-Range") or "")
        if content_range:
            first = int(content_range.group(1))
        end = min(rule.get("cut", 1 << 62), rule.get("stall", 1 << 62))
        buffer = memoryview(bytearray(CHUNK))
        at = 0
        while True:
            if body is not None:
                piece, body = memoryview(bytearray(body[:CHUNK])), body[CHUNK:]
            else:
                piece = buffer[:response.readinto(buffer)]
            if len(piece) == 0:
                break
            if "flip" in rule and 0 <= rule["flip"] - first - at < len(piece):
                piece[rule["flip"] - first - at] ^= 1
            if "short" in rule:
                piece = piece[:max(0, length - at)]
            at += len(piece)
            self.send_body(piece[:max(0, end - self.entry["bytes"])], chunked)
            if self.entry["bytes"] >= end:
                response.close()
                self.upstream.close()
                self.upstream = None
                if "stall" in rule:
                    self.stall(rule, chunked)
                self.hang_up(rule)
            if "short" in rule and at >= length:
                response.read()
                break
        if rule.get("extra"):
            self.send_body(b"\0" * rule["extra"], chunked)
        if chunked:
            self.send(b"0\r\n\r\n")
        self.entry["whole"] = True

    def stall(self, rule, chunked):
        """Waits for the client to go."""
        self.entry["stalled"] = True
        until = time.monotonic() + 120
        while time.monotonic() < until:
            ready = select.select([self.connection], [], [], 0.25)[0]
            if ready and not self.connection.recv(1):
                return
            if "trickle" in rule:
                self.send_body(b"\0" * max(1, rule["trickle"] // 4), chunked)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host, name, proxy, context=None):
        super().__init__((host, 0), Handler)
        self.name, self.proxy, self.context = name, proxy, context
        proxy.addresses[name] = {"host": "%s:%d" % (host, self.server_address[1]),
                                 "scheme": "https" if context else "http"}

    def server_bind(self):
        # Without the look-up of a name that the base class does.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address

    def finish_request(self, request, client_address):
        if self.context:
            request.settimeout(30)
            request = self.context.wrap_socket(request, server_side=True)
            request.settimeout(None)
        super().finish_request(request, client_address)
        if self.context:
            request.close()

    def handle_error(self, request, client_address):
        pass


def main():
    parser = argparse.ArgumentParser()
    for name in ("--upstream", "--rules", "--log", "--ports"):
        parser.add_argument(name, required=True)
    for name in ("--cert", "--key", "--upstream-ca"):
        parser.add_argument(name)
    options = parser.parse_args()
    proxy = Proxy(options)
    context = None
    if options.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)
    servers = [Server("127.0.0.1", "main", proxy, context), Server("127.0.0.2", "other", proxy, context)]
    if context:
        servers.append(Server("127.0.0.2", "plain", proxy))
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    die_with_stdin()
    publish(options.ports, proxy.addresses)
    threading.Event().wait()


main()
