"""What follows from a number of worlds that is not the preset's own."""

import jax
import pytest

from mjx_tecrl import AGENTS, Spec, named_agent
from mjx_tecrl.agents.families import BaselineConfig
from train.adaptation import FIRST_STEPS
from train.presets import preset
from train.run import parse


@pytest.mark.parametrize(
    ("env", "worlds", "expected"),
    [
        ("humanoid", 16, 2_000),  # the preset's own
        ("humanoid", 8, 2_000),
        ("humanoid", 256, FIRST_STEPS * 256),
        ("humanoid", 4096, FIRST_STEPS * 4096),
        ("humanoid", 16384, 200_000),  # half of the replay
        ("inverted_pendulum", 4096, 12_000),  # a tenth of the run
    ],
)
def test_episodes_have_ended_before_learning_begins(env: str, worlds: int, expected: int) -> None:
    assert preset("quick", env, "sac", num_envs=worlds).validate().learning_starts == expected


def test_the_command_line_has_the_last_word() -> None:
    command = ["--env", "hopper", "--preset", "quick", "--num-envs", "256"]
    _, config = parse(command)
    assert (config.learning_starts, config.agent_args.layer_norm) == (FIRST_STEPS * 256, True)
    _, config = parse([*command, "--learning-starts", "3000", "--agent.no-layer-norm"])
    assert (config.learning_starts, config.agent_args.layer_norm) == (3000, False)


def test_bursts_of_gradient_steps_are_made_with_normalised_layers() -> None:
    for worlds, normalised in ((8, False), (16, False), (32, True)):
        assert preset("quick", "hopper", "dsac_e", num_envs=worlds).agent_args.layer_norm is normalised
    assert not preset("parallel", "hopper", "dsac_e").agent_args.layer_norm  # 2 gradient steps after each vector step
    assert not preset("paper", "hopper", "dsac_e", num_envs=4096).agent_args.layer_norm  # the paper's networks


@pytest.mark.parametrize("name", [name for name, kind in AGENTS.items() if issubclass(kind.Config, BaselineConfig)])
def test_layers_are_normalised_where_the_config_says_so(name: str) -> None:
    kind = named_agent(name)
    for layer_norm in (False, True):
        agent = kind.make(kind.Config(hidden=(8, 8), layer_norm=layer_norm), Spec(3, 2, 0))
        state = jax.eval_shape(agent.init, jax.random.key(0))
        paths = {jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(state)}
        assert any("LayerNorm" in path and "critic" in path for path in paths) == layer_norm
