"""Steers a headless Chromium through ChromeDriver, one step after the other:

    browser.py STEPS.json [WIDTH HEIGHT]

STEPS is a list of steps; what each came to is printed as a list of JSON:
    ["open", url]           ["eval", javascript]      its value (await works too)
    ["click", css]          ["click", css, x, y]      pixels from its left and top
    ["keys", text]          typed where the focus is; "{Escape}", "{Enter}" ... are keys
    ["hover", css]          ["size", width, height]   of the page
    ["media", "dark"]       ["media", "light"]        ["media", "print"]
    ["screenshot", path]    of what is to be seen; ["screenshot", path, true]: of the whole page
    ["until", javascript]   waits until it is true, 20 seconds at most
    ["scripts", false]      the page's own are switched off
    ["shown", css]          whether it is to be seen
    ["requests"]            the addresses that were asked for since the last time; "URL (blocked: csp)" was not
    ["console"]             what the console was told since the last time: errors, warnings, violations
"""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--hide-scrollbars", "--force-device-scale-factor=1"]
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Backspace": "\ue003", "Tab": "\ue004", "Left": "\ue012",
        "Up": "\ue013", "Right": "\ue014", "Down": "\ue015", "Home": "\ue011", "End": "\ue010"}
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    def __init__(self, width, height):
        self.home = tempfile.mkdtemp(prefix="banger-browser-")
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True, env={**os.environ, "HOME": self.home, "XDG_CONFIG_HOME": self.home})
        port = None
        for line in self.driver.stdout:
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                port = found.group(1)
                break
        if not port:
            self.stop()
            raise SystemExit("chromedriver did not start")
        self.base = f"http://127.0.0.1:{port}"
        flags = FLAGS + [f"--window-size={width},{height}", f"--user-data-dir={self.home}/profile"]
        try:
            answer = self.new_session(flags)
        except BaseException:
            self.stop()
            raise
        self.base += "/session/" + answer["sessionId"]

    def new_session(self, flags):
        return self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": {"args": flags, "perfLoggingPrefs": {"enableNetwork": True}},
            "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"}}}})

    def call(self, method, path, body=None):
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise SystemExit(f"{path}: {value['error']}: {value['message']}") from None

    def cdp(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def close(self):
        try:
            self.call("DELETE", "")
        finally:
            self.stop()

    def stop(self):
        os.killpg(self.driver.pid, signal.SIGTERM)
        self.driver.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def find(self, css):
        return self.call("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]

    def step(self, name, *arguments):
        return getattr(self, "do_" + name)(*arguments)

    def do_open(self, url):
        self.call("POST", "/url", {"url": url})

    def do_eval(self, script):
        return self.call("POST", "/execute/sync", {"script": f"return (async () => {{ {script} }})()", "args": []})

    def do_until(self, script):
        end = time.monotonic() + 20
        while not self.do_eval("return Boolean(" + script + ")"):
            if time.monotonic() > end:
                raise SystemExit("never true: " + script)
            time.sleep(0.05)
        return True

    def do_click(self, css, x=None, y=None):
        if x is None:
            self.call("POST", f"/element/{self.find(css)}/click")
            return
        left, top = self.do_eval(f"const e = document.querySelector({json.dumps(css)});"
                                 "e.scrollIntoView({block: 'center', behavior: 'instant'});"
                                 "const r = e.getBoundingClientRect(); return [r.left, r.top]")
        self.call("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": [
            {"type": "pointerMove", "duration": 0, "x": round(left + x), "y": round(top + y)},
            {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]}]})

    def do_hover(self, css):
        self.call("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": [
            {"type": "pointerMove", "duration": 0, "x": 0, "y": 0, "origin": {ELEMENT: self.find(css)}}]}]})

    def do_keys(self, text):
        keys = [KEYS[key] if key else char for key, char in re.findall(r"\{(\w+)\}|([^{])", text)]
        steps = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": steps}]})

    def do_size(self, width, height):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.do_until(f"innerWidth === {width} && innerHeight === {height}")

    def do_media(self, scheme):
        if scheme == "print":
            self.cdp("Emulation.setEmulatedMedia", media="print")
        else:
            self.cdp("Emulation.setEmulatedMedia", media="", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def do_scripts(self, on):
        self.cdp("Emulation.setScriptExecutionDisabled", value=not on)

    def do_shown(self, css):
        return self.call("GET", f"/element/{self.find(css)}/displayed")

    def do_screenshot(self, path, whole=False):
        options = {}
        if whole:
            size = self.do_eval("return [document.documentElement.clientWidth, document.documentElement.scrollHeight]")
            options = {"captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}}
        shot = self.cdp("Page.captureScreenshot", format="png", **options)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def do_requests(self):
        found, order = {}, []
        for entry in self.call("POST", "/se/log", {"type": "performance"}):
            message = json.loads(entry["message"])["message"]
            about = message["params"]
            if message["method"] == "Network.requestWillBeSent":
                found[about["requestId"]] = about["request"]["url"]
                order.append(about["requestId"])
            elif message["method"] == "Network.loadingFailed" and about.get("blockedReason") and about["requestId"] in found:
                found[about["requestId"]] += " (blocked: %s)" % about["blockedReason"]
        return [found[key] for key in order]

    def do_console(self):
        return [entry["message"] for entry in self.call("POST", "/se/log", {"type": "browser"})]


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with open(sys.argv[1], encoding="utf-8") as file:
        steps = json.load(file)
    width, height = (sys.argv[2:4] + [1400, 900])[:2] if len(sys.argv) > 3 else (1400, 900)
    browser = Browser(width, height)
    try:
        print(json.dumps([browser.step(*step) for step in steps]))
    finally:
        browser.close()


main()
