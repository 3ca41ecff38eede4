"""The Next.js application of tests/nextjs/ and the service, each on its own port, and Chromium."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.frontend import Frontend, free_port, require
from tests.service import SECRET, Service, serving, wait_until

FOLDER = Path(__file__).parent.parent / "nextjs"
NEXT = FOLDER / "node_modules" / ".bin" / "next"


@dataclass
class Site:
    """The application, and the address of the service, which `next build` writes into the pages."""

    folder: Path
    database_url: str
    frontend: Frontend = field(default_factory=lambda: Frontend(f"http://localhost:{free_port()}"))
    backend_url: str = field(default_factory=lambda: f"http://localhost:{free_port()}")

    @property
    def url(self) -> str:
        return self.frontend.url

    def build(self) -> None:
        """Run `next build`, which checks the types too."""
        require("Node with Next.js (npm ci in tests/nextjs)", present=bool(shutil.which("node")) and NEXT.exists())
        done = subprocess.run(
            [NEXT, "build"], cwd=FOLDER, env=self._environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    @contextlib.contextmanager
    def next(self, command: str, **variables: str) -> Iterator[None]:
        """Run `next start` or `next dev`, wait until it is ready, and stop it at the end of the block."""
        log = self.folder / f"next-{command}.txt"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [NEXT, command, "--port", self.url.rpartition(":")[2]],
                cwd=FOLDER,
                env=self._environment(**variables),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            wait_until(lambda: process.poll() is not None or "Ready in" in log.read_text(), 120)
            assert process.poll() is None, log.read_text()
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def backend(self) -> contextlib.AbstractContextManager[Service]:
        port = self.backend_url.rpartition(":")[2]
        return serving(
            self.folder, self.database_url, "--port", port, BETTER_AUTH_URL=self.url, CORS_ORIGINS=self.url
        )

    def _environment(self, **variables: str) -> dict[str, str]:
        """Return the environment, with the variables of an application's `.env`."""
        ours = {
            "BETTER_AUTH_SECRET": SECRET,
            "BETTER_AUTH_URL": self.url,
            "DATABASE_URL": self.database_url,
            "NEXT_PUBLIC_API_URL": f"{self.backend_url}/",  # as people paste it
            "BACKEND_URL": f"{self.backend_url}/",
            "BETTER_AUTH_TELEMETRY": "0",
            "NEXT_TELEMETRY_DISABLED": "1",
        }
        return os.environ | ours | variables


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium")
    require("Chromium", present=bool(program))
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)
        yield browser
        browser.close()
