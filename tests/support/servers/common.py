"""What the servers of the tests have in common.

A server lives as long as its standard input is open, so that it never outlives
the suite for long; it says where it listens in a file; what it is to do it
reads from another file before each request; and it writes down each request
as lines of JSON: one when it begins, one when it has ended.
"""

import json
import os
import sys
import threading
import time


def die_with_stdin():
    """Ends this process when whoever holds the other end of stdin is gone."""

    def wait():
        while os.read(0, 4096):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def publish(path, addresses):
    """Says where the server listens, all at once."""
    with open(path + ".new", "w") as file:
        json.dump(addresses, file)
    os.rename(path + ".new", path)


class Settings:
    """A JSON file that may change between requests."""

    def __init__(self, path):
        self.path = path
        self.text = None
        self.value = {}
        self.used = {}
        self.lock = threading.Lock()

    def read(self):
        """The settings, and how often each rule of them was used so far."""
        try:
            with open(self.path) as file:
                text = file.read()
        except FileNotFoundError:
            text = "{}"
        with self.lock:
            if text != self.text:
                self.text, self.value, self.used = text, json.loads(text), {}
            return self.value, self.used


class Log:
    """A line of JSON for the begin of each request and one for its end."""

    def __init__(self, path):
        self.file = open(path, "a", buffering=1)
        self.lock = threading.Lock()
        self.count = 0

    def begin(self, entry):
        with self.lock:
            self.count += 1
            entry["id"] = self.count
            entry["at"] = time.time()
            self.write({"begin": self.count})
        return entry

    def end(self, entry):
        entry["ended"] = time.time()
        with self.lock:
            self.write(entry)

    def write(self, entry):
        self.file.write(json.dumps(entry) + "\n")


def complain(*words):
    print(*words, file=sys.stderr, flush=True)
