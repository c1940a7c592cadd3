"""A token server, as registries point at one in their challenges.

    tokens.py --rules FILE --log FILE --ports FILE --cert PEM --key PEM [--tls] < pipe

GET with Basic credentials or none, and OAuth2 POST (grant_type refresh_token or
password). Tokens are JWTs, signed by `openssl` with RS256; the certificate goes
with them. The file --rules may hold

    users       { name: password }; without, everybody may pull everything
    identity    { identity token: user name }
    anonymous   false: nobody gets a token without credentials (401);
                true: pulling needs none even if there are users
    lifetime    seconds after which the registry refuses a token (300)
    expires_in  what the answer says of it; absent: the lifetime; false: nothing
    field       "token", "access_token" or both when absent
    rules       [{ status, headers, body, size, times, skip }]: other answers
                instead; size: a body of so many bytes

The log's lines: id, at, method, path, scheme of Authorization, user, scope (a
list), service, client_id, account, offline, grant_type, status, fields (of a form).
"""

import argparse
import base64
import http.server
import json
import ssl
import subprocess
import threading
import time
import urllib.parse
import uuid

from common import Log, Settings, die_with_stdin, publish

# The registry goes on taking a token for a minute after it has expired.
LEEWAY = 60


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Signer:
    def __init__(self, cert, key):
        self.key = key
        self.cert = open(cert).read().split("-----")[2].replace("\n", "")

    def token(self, claims):
        header = {"typ": "JWT", "alg": "RS256", "x5c": [self.cert]}
        text = encode(json.dumps(header).encode()) + b"." + encode(json.dumps(claims).encode())
        signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=text,
                                stdout=subprocess.PIPE, check=True)
        return (text + b"." + encode(signed.stdout)).decode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer({})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(urllib.parse.parse_qs(body.decode()))

    def answer(self, form):
        url = urllib.parse.urlsplit(self.path)
        query = form or urllib.parse.parse_qs(url.query)

        def one(name):
            return query.get(name, [None])[0]

        settings, used = self.server.settings.read()
        scope = [s for value in query.get("scope", []) for s in value.split(" ")]
        entry = self.server.log.begin({
            "method": self.command, "path": self.path, "scope": scope, "service": one("service"),
            "client_id": one("client_id"), "account": one("account"), "grant_type": one("grant_type"),
            "offline": one("offline_token") or one("access_type"), "fields": sorted(form), "kind": "token",
            "agent": self.headers.get("User-Agent"), "cookie": self.headers.get("Cookie"),
        })
        try:
            for i, rule in enumerate(settings.get("rules", [])):
                used[i] = used.get(i, 0) + 1
                skip = rule.get("skip", 0)
                if skip < used[i] <= skip + rule.get("times", 1 << 60):
                    body = rule.get("body", "").encode() or b" " * rule.get("size", 0)
                    return self.reply(entry, rule.get("status", 200), body, rule.get("headers", {}))
            known, user = self.who(settings, one, entry)
            if not known or user is None and settings.get("anonymous") is False:
                return self.reply(entry, 401, b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}')
            return self.reply(entry, 200, self.grant(settings, user, scope, one))
        finally:
            self.server.log.end(entry)

    def who(self, settings, one, entry):
        """Whether the credentials are right, and whose they are."""
        users = settings.get("users", {})
        name = password = None
        if self.command == "POST":
            if one("grant_type") == "refresh_token":
                name = settings.get("identity", {}).get(one("refresh_token"))
                entry["user"] = name
                return name is not None, name
            name, password = one("username"), one("password")
        elif "Authorization" in self.headers:
            entry["authorization"] = self.headers["Authorization"].split(" ")[0]
            if entry["authorization"] == "Basic":
                pair = base64.b64decode(self.headers["Authorization"].split(" ")[1]).decode()
                name, password = pair.split(":", 1)
        if name is None:
            return True, None
        entry["user"] = name
        return users.get(name) == password and name in users, name

    def grant(self, settings, user, scope, one):
        may_pull = user is not None or not settings.get("users") or settings.get("anonymous") is True
        access = []
        for item in scope:
            kind, name, actions = item.split(":", 1)[0], item.split(":", 1)[1].rsplit(":", 1)[0], item.rsplit(":", 1)[1]
            if may_pull:
                allowed = [a for a in actions.split(",") if a == "pull" or user is not None]
                access.append({"type": kind, "name": name, "actions": allowed})
        now = time.time()
        lifetime = settings.get("lifetime", 300)
        token = self.server.signer.token({
            "iss": "tests", "sub": user or "", "aud": one("service"), "jti": str(uuid.uuid4()), "iat": int(now),
            "nbf": int(now) - 120, "exp": int(now + lifetime) + 1 - LEEWAY, "access": access,
        })
        answer = {}
        for field in ("token", "access_token"):
            if settings.get("field", field) == field:
                answer[field] = token
        if settings.get("expires_in", lifetime) is not False:
            answer["expires_in"] = settings.get("expires_in", lifetime)
            answer["issued_at"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        return json.dumps(answer).encode()

    def reply(self, entry, status, body, headers=()):
        entry["status"] = status
        self.send_response_only(status)
        sent = {"Content-Type": "application/json", "Content-Length": len(body)}
        sent.update(headers)
        for pair in sent.items():
            self.send_header(*pair)
        self.end_headers()
        try:
            self.wfile.write(body)
            entry["bytes"] = len(body)
        except OSError:
            self.close_connection = True


def main():
    parser = argparse.ArgumentParser()
    for name in ("--rules", "--log", "--ports", "--cert", "--key"):
        parser.add_argument(name, required=True)
    parser.add_argument("--tls", action="store_true")
    options = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.settings, server.log = Settings(options.rules), Log(options.log)
    server.signer = Signer(options.cert, options.key)
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    die_with_stdin()
    scheme = "https" if options.tls else "http"
    address = "127.0.0.1:%d" % server.server_address[1]
    publish(options.ports, {"main": {"host": address, "scheme": scheme}})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Event().wait()


main()
