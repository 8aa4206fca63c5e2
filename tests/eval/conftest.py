"""What the tests of this room share."""

import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def draws() -> None:
    """Skips a test where this machine has no OpenGL to draw with.

    Another process tries it, because a failure leaves half a context behind.
    """
    code = "import envs, mujoco; mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 16, 16).close()"
    if subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode:
        pytest.skip("no OpenGL here")
