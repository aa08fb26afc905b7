"""Draws a splat in headless Chromium, with OpenGL on the processor."""

import io
import json
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PAGE = Path(__file__).with_name("page.html")
TIMEOUT = 300.0
"""Seconds that loading and drawing may take: there is no GPU."""

_TYPES = {".html": "text/html", ".js": "text/javascript", ".json": "application/json"}


def draw_in_browser(
    splat: Path, pose: dict[str, object], packages: Path
) -> tuple[NDArray[np.uint8], int]:
    """Give the picture [H, W, 3] of `splat` as GaussianSplats3D draws it, and its count of splats.

    Raises RuntimeError where the page fails, queue.Empty where it takes too long.
    """
    told: Queue[tuple[str, bytes]] = Queue()
    served = f"/splat{splat.suffix}"  # the viewer tells the format from the name
    roots = {"viewer": packages / "@mkkellogg/gaussian-splats-3d", "three": packages / "three"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = self._content()
            self.send_response(200 if content is not None else 404)
            kind = _TYPES.get(Path(self.path).suffix, "application/octet-stream")
            self.send_header("Content-Type", "text/html" if self.path == "/" else kind)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def do_POST(self) -> None:
            told.put((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

        def _content(self) -> bytes | None:
            fixed = {"/": PAGE, served: splat}.get(self.path)
            if self.path == "/pose.json":
                return json.dumps({**pose, "splat": served}).encode()
            if fixed is None:
                root, _, name = self.path.strip("/").partition("/")
                fixed = roots.get(root, packages / "none") / name
            return fixed.read_bytes() if fixed.is_file() else None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as profile:
        browser = subprocess.Popen(
            [
                "chromium",
                *("--headless=new", "--no-sandbox", "--hide-scrollbars", "--mute-audio"),
                *("--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
                f"--user-data-dir={profile}",
                f"http://127.0.0.1:{server.server_port}/",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return _answer(told)
        finally:
            browser.terminate()
            browser.wait()
            server.shutdown()


def _answer(told: "Queue[tuple[str, bytes]]") -> tuple[NDArray[np.uint8], int]:
    count = 0
    while True:
        path, body = told.get(timeout=TIMEOUT)
        if path == "/count":
            count = int(body)
        elif path == "/picture":
            picture = Image.open(io.BytesIO(body)).convert("RGB")
            return np.asarray(picture), count
        else:
            raise RuntimeError(f"the page failed: {body.decode(errors='replace')}")
