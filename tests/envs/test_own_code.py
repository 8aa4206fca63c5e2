"""Tasks and agents in files of one's own: what their names mean, and what runs their code."""

import importlib.metadata
import json
import pathlib
import shutil
import sys
from collections.abc import Iterator

import pytest

import envs
from envs import list as envs_list
from envs import own_code
from envs.command import UserError
from envs.own_code import confirmed, digest, label, located, shown
from envs.tasks.model_files import ASSETS
from mjx_tecrl.agents import NamedAgent
from train.agents import find_agent
from train.config import config_from_json
from train.presets import preset

TASK = """
import envs
from helpers_of_lift import FRAME_SKIP


class Lift(envs.MujocoTask):
    name, xml, frame_skip = "lift", "inverted_pendulum.xml", FRAME_SKIP

    def observe(self, physics, derived, info):
        return physics.qpos

    def score(self, physics, derived, ctrl, info):
        return {"upright": physics.qpos[1] ** 2}, False


number = 3
"""

AGENT = """
from mjx_tecrl.agents import AGENTS, NamedAgent

mine = NamedAgent(AGENTS["sac"].Config, AGENTS["sac"].make)
"""


@pytest.fixture(autouse=True)
def paths() -> Iterator[None]:
    """What own code adds to the path and to the modules is taken away again."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.endswith(".py") or name.startswith(("helpers_of_lift", "brought_robots")):
            del sys.modules[name]


@pytest.fixture
def file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A file with a task, which imports what lies beside it. It is called as a package of ours."""
    (tmp_path / "helpers_of_lift.py").write_text("FRAME_SKIP = 2\n")
    (tmp_path / "train.py").write_text(TASK)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "train.py"


def test_a_task_in_a_file_is_made_by_its_path_and_hides_nothing(file: pathlib.Path) -> None:
    for name in ("train.py:Lift", "./train.py:Lift", f"{file}:Lift"):
        task = envs.make(name, physics="native")
        assert (task.name, task.substeps, task.obs_size) == ("lift", 2, 2)
        assert envs.task(name) is envs.task(str(f"{file}:Lift"))
    import train

    assert pathlib.Path(train.__file__) != file
    assert not list(file.parent.glob("__pycache__/train*"))


def test_a_task_in_a_module_is_made_by_the_modules_name(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "brought_robots").mkdir()
    (tmp_path / "brought_robots" / "tasks.py").write_text(
        TASK.replace("from helpers_of_lift import", "# ").replace("FRAME_SKIP\n", "3\n")
    )
    monkeypatch.chdir(tmp_path)
    assert envs.make("brought_robots.tasks:Lift", physics="native").substeps == 3
    assert located("brought_robots.tasks:Lift") == "brought_robots.tasks:Lift"
    assert digest("brought_robots.tasks:Lift") == own_code.file_digest(tmp_path / "brought_robots" / "tasks.py")


def test_a_model_lies_beside_the_file_of_its_task(file: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(TASK.replace("inverted_pendulum.xml", "models/pole.xml"))
    (file.parent / "models").mkdir()
    shutil.copy(ASSETS / "inverted_pendulum.xml", file.parent / "models" / "pole.xml")
    (file.parent / "elsewhere").mkdir()
    monkeypatch.chdir(file.parent / "elsewhere")
    task = envs.make(f"{file}:Lift", physics="native")
    assert isinstance(task, envs.MujocoTask)
    assert task.model_file == file.parent / "models" / "pole.xml"


def test_relative_paths_in_a_tasks_arguments_become_absolute(file: pathlib.Path) -> None:
    file.write_text(
        "import dataclasses, pathlib\n"
        + TASK.replace(
            "class Lift(envs.MujocoTask):",
            "@dataclasses.dataclass(frozen=True)\nclass Args(envs.TaskArgs):\n"
            "    terrain: pathlib.Path = pathlib.Path('a.png')\n\n\nclass Lift(envs.MujocoTask):\n    Args = Args",
        )
    )
    config = preset("quick", "train.py:Lift", "sac").located()
    assert config.env_args.terrain == file.parent / "a.png"
    assert config_from_json(json.loads(json.dumps(config.to_json())), "test", env="train.py:Lift") == config


def test_an_edited_file_is_run_again_and_the_digest_is_that_of_what_ran(file: pathlib.Path) -> None:
    first = envs.task("train.py:Lift")
    before = digest("train.py:Lift")
    assert before == own_code.file_digest(file)
    file.write_text(file.read_text() + "\n")
    assert digest("train.py:Lift") == before
    assert envs.task("train.py:Lift") is not first
    assert digest("train.py:Lift") == own_code.file_digest(file) != before
    assert digest("hopper") == ""


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("none.py:Lift", "", "there is no file .*/none.py"),
        ("a.py:Lift", "Lifter = 1", "a.py defines no Lift"),
        ("a.py:Lift", "Lift = 1", "a.py:Lift is not a task: a task is a class derived from envs.MujocoTask"),
        ("a.py:Lift", "x = 1\nx.y", "/a.py fails in line 2: AttributeError: 'int' object has no attribute 'y'"),
        ("a.py:Lift", "x = 1\nx = = 2", "/a.py fails in line 2: SyntaxError: invalid syntax"),
        ("a.py:Lift", "import sys\nsys.exit(1)", "/a.py fails in line 2: it ends the program, which belongs below"),
        ("a.py:Lift", "import envs\nclass Lift(envs.MujocoTask): pass", "Lift lacks the class attribute name"),
        ("a.py", "", "'a.py' must name an object too: FILE.py:NAME or MODULE:NAME, such as my_robot.py:Lift"),
        ("a.py:", "", "'a.py:' must name an object too"),
        ("no_such_package_of_mine.tasks:Lift", "", "there is no module no_such_package_of_mine, neither installed nor in"),
        ("json:dumps", "", "json:dumps is not a task"),
    ],
)
def test_a_wrong_name_is_one_sentence(
    name: str, text: str, sentence: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=sentence) as refused:
        envs.task(name)
    assert "\n" not in str(refused.value)


def test_an_agent_in_a_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_agent.py").write_text(AGENT + "config = mine.Config\n")
    monkeypatch.chdir(tmp_path)
    assert isinstance(find_agent("my_agent.py:mine"), NamedAgent)
    with pytest.raises(ValueError, match=r"my_agent.py:config is not an agent: an agent is a mjx_tecrl.agents.NamedAgent"):
        find_agent("my_agent.py:config")
    with pytest.raises(ValueError, match="unknown agent 'sacc'; did you mean sac"):
        find_agent("sacc")


def test_installed_packages_bring_tasks_and_agents(
    file: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (file.parent / "brought_robots.py").write_text(TASK + AGENT)
    points = [
        importlib.metadata.EntryPoint("lift", "brought_robots:Lift", "mjx_tecrl.tasks"),
        importlib.metadata.EntryPoint("lifter", "brought_robots:mine", "mjx_tecrl.agents"),
        importlib.metadata.EntryPoint("broken", "brought_robots:Lost", "mjx_tecrl.tasks"),
    ]
    monkeypatch.setattr(own_code, "_entry_points", lambda group: importlib.metadata.EntryPoints(points).select(group=group))
    monkeypatch.syspath_prepend(file.parent)
    assert envs.make("lift", physics="native").name == "lift"
    assert isinstance(find_agent("lifter"), NamedAgent)
    with pytest.raises(ValueError, match="unknown env 'lifft'; did you mean lift"):
        envs.task("lifft")
    with pytest.raises(ValueError, match="broken is brought_robots:Lost of an installed package, which fails: Attribute"):
        envs.task("broken")
    assert envs_list.main(["lif"]) == 0
    assert "inverted_pendulum.xml" in capsys.readouterr().out
    assert envs_list.main(["brok"]) == 0
    assert "which fails" in capsys.readouterr().out


def test_the_list_shows_a_task_in_a_file(file: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert envs_list.main(["train.py:Lift"]) == 0
    assert "train.py:Lift" in capsys.readouterr().out


def test_what_a_name_is_called(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert located("a/../b.py:Lift") == f"{tmp_path}/b.py:Lift"
    assert (located("hopper"), located("my.tasks:Lift")) == ("hopper", "my.tasks:Lift")
    assert (label("a/b.py:Lift"), label("brax/ant")) == ("Lift", "brax/ant")
    assert shown(f"{tmp_path}/a/b.py:Lift") == "a/b.py:Lift"
    assert shown("/elsewhere/b.py:Lift") == "/elsewhere/b.py:Lift"


def test_code_that_a_run_names_is_used_only_if_the_user_names_it_too(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert confirmed("env", "hopper", None, "run") == "hopper"
    assert confirmed("env", "/gone/a.py:Lift", "b.py:Lift", "run") == f"{tmp_path}/b.py:Lift"
    assert confirmed("env", "my.tasks:Lift", "my.tasks:Lift", "run") == "my.tasks:Lift"
    for saved, given, sentence in (
        ("/x/a.py:Lift", None, "if you trust it, add --env /x/a.py:Lift"),
        ("my.tasks:Lift", None, "if you trust it, add --env my.tasks:Lift"),
        ("/x/a.py:Lift", "a.py:Other", "run has the env '/x/a.py:Lift': --env a.py:Other is another"),
        ("hopper", "ant", "run has the env 'hopper': --env ant is another"),
        ("hopper", "a.py:hopper", "which is not in a file: leave out --env"),
    ):
        with pytest.raises(UserError, match=sentence):
            confirmed("env", saved, given, "run")
