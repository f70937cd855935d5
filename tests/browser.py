"""A headless Chromium, driven by its DevTools protocol over two pipes; no package is needed."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from contextlib import suppress

NAMES = ("chromium-headless-shell", "chrome-headless-shell", "chromium", "chromium-browser")
NAMES += ("google-chrome", "google-chrome-stable")
VARIABLE = "XPMLP_CHROMIUM"
PATIENCE = 60.0  # seconds for an answer


def find_chromium():
    """Return the program, of the variable XPMLP_CHROMIUM or on the path; None where none is."""
    named = os.environ.get(VARIABLE)
    return named or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page of a browser with a profile in a folder, width × height pixels."""

    def __init__(self, program, profile, width=1200, height=1000):
        to_it, ours = os.pipe()
        theirs, from_it = os.pipe()
        command = (
            f'exec "$0" "$@" 3<&{to_it} 4>&{from_it}',
            *(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--no-first-run", "--disable-background-networking", "--hide-scrollbars"),
            *(f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"),
        )
        self.process = subprocess.Popen(
            ["bash", "-c", *command],
            pass_fds=(to_it, from_it),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_it)
        os.close(from_it)
        self.ours, self.theirs = ours, theirs
        self.buffer, self.number, self.session = b"", 0, None
        self.messages = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.resize(width, height)

    def close(self):
        with suppress(OSError):
            os.close(self.ours)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.theirs)

    def call(self, method, **params):
        """Send a command and return its answer."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.ours, data) :]
        while True:
            answer = self._read()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            self.messages.append(answer)

    def _read(self):
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.theirs], [], [], PATIENCE)
            assert ready, "the browser does not answer"
            more = os.read(self.theirs, 1 << 16)
            assert more, "the browser has ended"
            self.buffer += more
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def resize(self, width, height, *, mobile=False, scale=1):
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=mobile,
        )

    def dark(self, on):
        value = "dark" if on else "light"
        features = [{"name": "prefers-color-scheme", "value": value}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def open(self, url):
        self.call("Page.navigate", url=url)

    def evaluate(self, expression):
        """Return the value of an expression of JavaScript, awaited."""
        result = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, expression, seconds=PATIENCE):
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.evaluate(f"Boolean({expression})"):
            assert time.monotonic() < end, (expression, self.errors(), self.text("status"))
            time.sleep(0.05)

    def text(self, name):
        return self.evaluate(f"document.getElementById({name!r})?.textContent")

    def box(self, selector):
        """Return left, top, width and height of an element, scrolled into view."""
        return self.evaluate(
            f"(() => {{ const e = document.querySelector({selector!r});"
            "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
            "return [b.left, b.top, b.width, b.height]; })()"
        )

    def click(self, selector, right=0.5, down=0.5):
        """Click into an element, at a share of its width and height."""
        left, top, width, height = self.box(selector)
        place = {"x": left + right * width, "y": top + down * height}
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def key(self, name, text=""):
        typed = {"text": text} if text else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=name, **typed)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name)

    def fill(self, name, value):
        """Write into a field or choose from a list, as a person does who then leaves it."""
        self.evaluate(
            f"(() => {{ const e = document.getElementById({name!r}); e.value = {str(value)!r};"
            "e.dispatchEvent(new Event('change', {bubbles: true})); })()"
        )

    def errors(self):
        """Return what the page's console has of errors."""
        self.evaluate("0")
        found = []
        for message in self.messages:
            params = message.get("params", {})
            if message.get("method") == "Runtime.exceptionThrown":
                found.append(str(params["exceptionDetails"].get("exception", params)))
            entry = params.get("entry", {})
            if message.get("method") == "Log.entryAdded" and entry["level"] == "error":
                found.append(f"{entry['text']} {entry.get('url', '')}")
        return found

    def screenshot(self, path, whole=True):
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))
