"""A browser without a window, which draws pages for tests."""

import pathlib
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Programs that can do it."""


def browser() -> str:
    """The program; the test is skipped where none is installed. `.ci/run` installs one where it can."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium here")
    return found


def screenshot(program: str, page: pathlib.Path, seconds: float, width: int = 320, height: int = 240) -> np.ndarray:
    """The pixels ``[height, width, 3]`` of a page that stands still at a time (s)."""
    out = page.with_name("screenshot.png")
    out.unlink(missing_ok=True)
    subprocess.run(
        [
            program,
            "--headless",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--use-angle=swiftshader",  # OpenGL on the CPU
            "--enable-unsafe-swiftshader",
            "--hide-scrollbars",
            "--virtual-time-budget=3000",
            f"--user-data-dir={page.with_name('browser')}",
            f"--window-size={width},{height}",
            f"--screenshot={out}",
            f"{page.as_uri()}#{seconds}",
        ],
        capture_output=True,
        check=True,
        timeout=240,
    )
    with Image.open(out) as image:
        return np.asarray(image.convert("RGB")).astype(int)
