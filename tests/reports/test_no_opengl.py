"""A machine without OpenGL's libraries, as most containers are: everything works but films, which are refused."""

import os
import pathlib
import subprocess
import sys

import pytest

HIDE = """
import ctypes, ctypes.util, re

hidden = re.compile("lib(EGL|OpenGL|GL|GLX|GLU|GLESv2|GLdispatch|OSMesa)[.]|^(EGL|OpenGL|GL|GLX|GLU|GLESv2|OSMesa)$")
load, find = ctypes.CDLL.__init__, ctypes.util.find_library

def refuse(self, name, *args, **kwargs):
    if name is not None and hidden.search(str(name)):
        raise OSError(f"{name}: cannot open shared object file: No such file or directory")
    load(self, name, *args, **kwargs)

ctypes.CDLL.__init__ = refuse
ctypes.util.find_library = lambda name: None if hidden.search(name) else find(name)
"""
"""Hides the libraries from the process that runs this first."""


def without_opengl(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs ``code`` in a process without OpenGL's libraries and without a display."""
    unset = ("DISPLAY", "MUJOCO_GL", "PYOPENGL_PLATFORM")
    env = {name: value for name, value in os.environ.items() if name not in unset} | variables
    return subprocess.run([sys.executable, "-c", HIDE + code], env=env, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_training_scores_lists_and_plots_need_no_opengl(tmp_path: pathlib.Path) -> None:
    """mujocolab/mjlab PR#1073, PR#1036: with MUJOCO_GL=egl as the default, a mere import fails without the libraries."""
    run = str(tmp_path / "run")
    small = (
        "--env inverted_pendulum --agent sac --num-envs 4 --total-steps 40 --log-steps 20 --eval-steps 40 "
        "--learning-starts 16 --batch-size 8 --replay-size 100 --eval-episodes 2 --agent.hidden 16 --compilation-cache None"
    )
    ran = without_opengl(f"""
import train.run, eval.run, eval.plot, eval.render, envs.list
assert train.run.main({small.split()} + ["--run-dir", {run!r}]) == 0
assert eval.run.main([{run!r}, "--episodes", "2"]) == 0
assert envs.list.main(["hopper"]) == 0
assert eval.plot.main([{run!r}, "--out", {str(tmp_path / "curve.png")!r}]) == 0
print("all but the film")
assert eval.render.main([{run!r}, "--out", {str(tmp_path / "film.mp4")!r}]) == 2
print("all")
""")
    assert ran.stdout.endswith("all but the film\nall\n"), ran.stderr
    assert ran.stderr.count("error: ") == 1
    assert (
        "error: no picture can be drawn here, because OpenGL does not work (egl: AttributeError); without a GPU"
        in ran.stderr
    )
    assert (tmp_path / "curve.png").stat().st_size > 0
    assert not list(tmp_path.glob("*film*"))


@pytest.mark.parametrize(("library", "first"), [("egl", "eval.inspect"), ("osmesa", "envs"), ("no such thing", "envs.view")])
def test_an_import_needs_no_opengl_whatever_the_user_asked_mujoco_for(library: str, first: str) -> None:
    """mujocolab/mjlab PR#1073: container images set MUJOCO_GL themselves, with and without the libraries."""
    code = f"import {first}; import envs; print(envs.make('hopper', physics='native').dt)"
    ran = without_opengl(code, MUJOCO_GL=library)
    assert (ran.stdout, ran.stderr) == ("0.008\n", "")
