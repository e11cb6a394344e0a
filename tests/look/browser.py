"""A headless Chromium over its debugging pipe: standard library only, no port, no network.

Messages are JSON, ended by a NUL byte, on file descriptors 3 (to the browser) and 4 (from it);
bash puts them there, since dash knows no descriptor above 9.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

CANDIDATES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-default-apps", "--disable-extensions", "--no-first-run", "--hide-scrollbars",
    "--font-render-hinting=none", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
TIMEOUT_S = 60.0
A4_INCH = (8.27, 11.69)


def find_chromium() -> str | None:
    """Return the path of a Chromium, or None."""
    return next((p for name in CANDIDATES if (p := shutil.which(name)) is not None), None)


class BrowserError(Exception):
    """The browser refused a command or went away."""


@dataclass(slots=True)
class Seen:
    """What went wrong while a page was open."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


class Browser:
    """One browser with one open page."""

    def __init__(self, program: str) -> None:
        self._home = tempfile.mkdtemp(prefix="look-")
        low_read, self._out = os.pipe()
        self._in, low_write = os.pipe()
        to_read, to_write = (fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (low_read, low_write))
        launch = f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}'
        self._process = subprocess.Popen(
            ["bash", "-c", launch, program, *FLAGS, "--remote-debugging-pipe",
             f"--user-data-dir={self._home}", "about:blank"],
            pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for fd in (low_read, low_write, to_read, to_write):
            os.close(fd)
        self._number, self._rest, self._session = 0, b"", ""
        self._events: list[dict[str, object]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = str(attached["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        os.close(self._out)
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        shutil.rmtree(self._home, ignore_errors=True)

    def call(self, method: str, **params: object) -> dict[str, object]:
        """Send one command and return its result; events on the way are kept."""
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']}")
                return dict(answer["result"])  # type: ignore[call-overload]
            self._events.append(answer)

    def _receive(self) -> dict[str, object]:
        end = time.monotonic() + TIMEOUT_S
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(end - time.monotonic(), 0))
            part = os.read(self._in, 1 << 20) if ready else b""
            if not part:
                raise BrowserError("no answer from the browser" if not ready else "browser ended")
            self._rest += part
        text, self._rest = self._rest.split(b"\0", 1)
        return dict(json.loads(text))

    def evaluate(self, script: str) -> object:
        """Return the value of a script in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True,
                           awaitPromise=True)  # fmt: skip
        if "exceptionDetails" in answer:
            raise BrowserError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")  # type: ignore[attr-defined]

    def open(self, path: Path, width: int, height: int = 900, media: str = "screen") -> None:
        """Open a file at a window width and wait until every figure is drawn."""
        self._events.clear()
        self.call("Emulation.setEmulatedMedia", media=media)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)  # fmt: skip
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait_for(
            "document.readyState === 'complete' && !!document.documentElement.dataset.drawn"
        )

    def wait_for(self, condition: str) -> None:
        """Wait until a script is true in the page."""
        end = time.monotonic() + TIMEOUT_S
        while not self.evaluate(condition):
            if time.monotonic() > end:
                raise BrowserError(f"never true: {condition}; {self.seen()}")
            time.sleep(0.05)

    def seen(self) -> Seen:
        """Return console errors, uncaught exceptions and requests beyond the file itself."""
        seen = Seen()
        for event in self._events:
            method, params = event.get("method"), event.get("params", {})
            assert isinstance(params, dict)
            if method == "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                seen.errors.append(
                    str(details.get("exception", details).get("description", details))
                )
            elif method == "Runtime.consoleAPICalled" and params["type"] in (
                "error",
                "warning",
                "assert",
            ):
                said = [str(a.get("value", a.get("description"))) for a in params["args"]]
                seen.errors.append(f"console.{params['type']}: {' '.join(said)}")
            elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                seen.errors.append(str(params["entry"]["text"]))
            elif method == "Network.requestWillBeSent":
                url = params["request"]["url"]
                if not url.startswith(("file:", "data:", "blob:", "about:")):
                    seen.requests.append(url)
        return seen

    def screenshot(self, path: Path, *, full: bool = True) -> None:
        """Write a PNG of the whole page, or of the first screen."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=full,
                         **({"clip": self._page_clip()} if full else {}))  # fmt: skip
        path.write_bytes(base64.b64decode(str(shot["data"])))

    def _page_clip(self) -> dict[str, object]:
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        assert isinstance(size, dict)
        return {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}

    def pdf(self, path: Path) -> None:
        """Print the page on A4 into a file."""
        self.call("Emulation.setEmulatedMedia", media="")
        printed = self.call("Page.printToPDF", paperWidth=A4_INCH[0], paperHeight=A4_INCH[1],
                            preferCSSPageSize=True, printBackground=True)  # fmt: skip
        path.write_bytes(base64.b64decode(str(printed["data"])))
