"""A browser that a test drives: Chromium without a window, spoken to in its DevTools protocol through two pipes."""

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ON_PIPES = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
"""Chromium reads its orders from descriptor 3 and answers at 4, each message ended by a zero byte."""


class Browser:
    """One page; ``console`` are the complaints that it has printed since it was opened."""

    def __init__(self, orders: Any, answers: Any) -> None:
        self._orders, self._answers = orders, answers
        self._numbers, self._session = itertools.count(1), ""
        self.console: list[str] = []
        target = self.order("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.order("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.order(f"{domain}.enable")

    def order(self, method: str, **arguments: Any) -> Any:
        """The answer to one order."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": arguments}
        self._orders.write(
            json.dumps(message | ({"sessionId": self._session} if self._session else {})).encode() + b"\0"
        )
        self._orders.flush()
        while (read := self._read()).get("id") != number:
            self._note(read)
        assert "error" not in read, read["error"]
        return read["result"]

    def _read(self) -> dict[str, Any]:
        parts: list[bytes] = []
        while (byte := self._answers.read(1)) != b"\0":
            assert byte, "the browser has ended"
            parts.append(byte)
        return json.loads(b"".join(parts))  # type: ignore[no-any-return]

    def _note(self, event: dict[str, Any]) -> None:
        about = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.console.append(json.dumps(about["exceptionDetails"]))
        if event.get("method") == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
            self.console.append(json.dumps(about["args"]))
        if event.get("method") == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
            self.console.append(about["entry"]["text"])

    def run(self, code: str) -> Any:
        """The value of an expression on the page; a promise is awaited."""
        found = self.order("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def open(self, address: str) -> None:
        """Open an address afresh, and wait until the page is done with what it asks for."""
        self.order("Page.navigate", url="about:blank")
        self.order("Page.navigate", url=address)
        self.done()

    def done(self, times: int = 1) -> None:
        """Wait until the page has been done with its requests so many times."""
        self.run(
            f"""new Promise(resolve => {{
                const done = () => Number(document.body?.dataset.done ?? 0);
                const look = () => done() >= {times} ? resolve() : setTimeout(look, 20);
                look();
            }})"""
        )

    def doing(self, action: Any) -> None:
        """Wait until what ``action()`` makes the page ask for is done."""
        before = int(self.run("Number(document.body.dataset.done)"))
        action()
        self.done(before + 1)

    def size(self, width: int, height: int = 900) -> None:
        """Give the window a size."""
        self.order(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )

    def write(self, text: str) -> None:
        """Put a text where the keyboard writes."""
        self.order("Input.insertText", text=text)

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press one key."""
        code, text = {"Enter": (13, "\r"), "Tab": (9, ""), "Space": (32, " ")}[key]
        name = " " if key == "Space" else key
        about = {"key": name, "code": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.order("Input.dispatchKeyEvent", type="keyDown", **about, **({"text": text} if text else {}))
        self.order("Input.dispatchKeyEvent", type="keyUp", **about)


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser whose profile is ``folder``; it ends with the block."""
    assert CHROMIUM is not None
    their_orders, our_orders = os.pipe()
    our_answers, their_answers = os.pipe()
    command = [
        sys.executable, "-c", ON_PIPES, str(their_orders), str(their_answers), CHROMIUM, "--headless", "--no-sandbox",
        "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe", f"--user-data-dir={folder}",
    ]  # fmt: skip
    with open(our_orders, "wb") as orders, open(our_answers, "rb") as answers:  # noqa: PTH123 - descriptors
        process = subprocess.Popen(
            command, pass_fds=(their_orders, their_answers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(their_orders)
        os.close(their_answers)
        try:
            yield Browser(orders, answers)
        finally:
            process.terminate()
            process.wait()
