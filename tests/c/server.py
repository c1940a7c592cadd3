"""A server for test_fetch.c: python3 server.py DIR

Serves the files of DIR on a free port of 127.0.0.1, which it prints, and lives as
long as its standard input is open. A path is /HOW/NAME: HOW is what to do wrong
(the functions below). DIR/log has a line for each request:

    METHOD PATH RANGE AUTHORIZATION
"""

import http.server
import os
import sys
import threading
import time

DIR = sys.argv[1]
LOCK = threading.Lock()
COUNTS = {}


def count(path):
    with LOCK:
        COUNTS[path] = COUNTS.get(path, 0) + 1
        return COUNTS[path]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_any(self):
        with LOCK, open(DIR + "/log", "a") as log:
            log.write("%s %s %s %s\n" % (
                self.command, self.path, self.headers.get("Range", "-"),
                self.headers.get("Authorization", "-").replace(" ", "_")))
        _, how, name = self.path.split("/", 2)
        try:
            getattr(self, "do_" + how)(name)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = handle_any

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def content(self, name):
        with open(DIR + "/" + name, "rb") as file:
            return file.read()

    def asked(self, name):
        """The part that is asked for: status, bytes, headers."""
        data = self.content(name)
        start = self.headers.get("Range")
        if not start:
            return 200, data, {}
        start = int(start[len("bytes="):-1])
        if start >= len(data):
            return 416, b"", {}
        return 206, data[start:], {"Content_Range": "bytes %d-%d/%d" % (start, len(data) - 1, len(data))}

    def hang_up(self):
        self.close_connection = True
        self.wfile.flush()

    # ---- how ----

    def do_file(self, name):
        status, data, headers = self.asked(name)
        self.answer(status, data, **headers)

    def do_echo(self, _):
        length = int(self.headers.get("Content-Length", 0))
        text = "%s %s %s\n" % (self.command, self.headers.get("X-Test", "-"), self.headers["User-Agent"])
        self.answer(200, text.encode() + self.rfile.read(length), X_One="a", Content_Type="text/plain; x=y")

    def do_none(self, _):
        self.answer(404, b"there is none")

    def do_refused(self, _):
        self.answer(403, b"no")

    def do_moved(self, name):
        self.answer(302, Location="/file/" + name)

    def do_circle(self, name):
        self.answer(302, Location="/circle/" + name)

    def do_two(self, name):
        """Well, at the third request."""
        if count(self.path) <= 2:
            self.answer(503, b"not now")
        else:
            self.do_file(name)

    def do_never(self, _):
        self.answer(503, b"not now")

    def do_later(self, _):
        self.answer(503, b"not now", Retry_After="301")

    def do_whole(self, name):
        """Without ranges; half of it at the first request."""
        data = self.content(name)
        if count(self.path) > 1:
            return self.answer(200, data)
        self.answer(200, data[:len(data) // 2], Content_Length=str(len(data)))
        self.hang_up()

    def do_cut(self, name):
        """Half of what is asked for, but for the rest of something."""
        status, data, headers = self.asked(name)
        if status == 206:
            return self.answer(status, data, **headers)
        self.answer(status, data[:len(data) // 2], Content_Length=str(len(data)), **headers)
        self.hang_up()

    def do_mute(self, name):
        """Hangs up in the middle of an answer of no length, which looks whole."""
        status, data, headers = self.asked(name)
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header.replace("_", "-"), value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data if status == 206 else data[:len(data) // 2])
        self.hang_up()

    def do_hang(self, name):
        """Half of it, and the other half when DIR/go is there."""
        status, data, headers = self.asked(name)
        self.answer(status, data[:len(data) // 2], Content_Length=str(len(data)), **headers)
        while not os.path.exists(DIR + "/go"):
            time.sleep(0.01)
        self.wfile.write(data[len(data) // 2:])

    def do_other(self, name):
        """Ranges from elsewhere; half of it at the first request."""
        data = self.content(name)
        if "Range" in self.headers:
            return self.answer(206, data[-5:], Content_Range="bytes %d-%d/*" % (len(data) - 5, len(data) - 1))
        if count(self.path) > 1:
            return self.answer(200, data)
        self.answer(200, data[:len(data) // 2], Content_Length=str(len(data)))
        self.hang_up()

    def do_more(self, name):
        self.answer(200, self.content(name) + b"more")

    def do_less(self, name):
        status, data, headers = self.asked(name)
        if status == 200:
            data = data[:-10]
        self.answer(416 if status == 206 else 200, data, **headers)

    def do_page(self, _):
        self.answer(200, b"<html>please log in</html>", Content_Type="text/html; charset=utf-8")

    def do_auth(self, name):
        if self.headers.get("Authorization") == "Bearer good":
            return self.do_file(name)
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Bearer realm="https://tokens"')
        self.send_header("Www-Authenticate", 'Basic realm="here"')
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"stop!")


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
server.handle_error = lambda *_: None  # clients hang up here
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
while os.read(0, 4096):
    pass
os._exit(0)
