"""``python -m train.run``: trains an agent on a task, or goes on with a run."""

import argparse
import dataclasses
import functools
import sys
from typing import Annotated

import jax
import tyro

from envs.command import UserError, expanded, first_line, framed, typed, user_errors
from envs.own_code import GROUPS, as_own_code, label
from mjx_tecrl import AGENTS
from train.agents import find_agent
from train.config import Config, load_config
from train.loop import train
from train.presets import LENGTH, preset


@dataclasses.dataclass(frozen=True)
class Command:
    """Train an agent in many simulated worlds at once."""

    config: Annotated[Config, tyro.conf.arg(name="")]
    resume: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """go on with the run in --run-dir from its newest intact checkpoint; only length, intervals and outputs may change"""
    coordinator: str | None = None
    """for one run of several processes (docs/devices.md): HOST:PORT of process number 0; or auto, to learn this flag and the
    two below from SLURM, Kubernetes, Open MPI or Cloud TPU"""
    num_processes: int | None = None
    """for a run of several processes: how many there are"""
    process_id: int | None = None
    """for a run of several processes: the number of this one, from 0 on"""


def main(args: list[str] | None = None) -> int:
    """The command line; returns the exit code: 0, 2 after a mistake, 128 + the signal's number after an interruption."""
    args = sys.argv[1:] if args is None else args

    def run() -> None:
        join_processes(args)
        resume, config = parse(args)
        train(config, resume=resume)

    return framed(run)


def join_processes(args: list[str]) -> None:
    """Joins the other processes of a run, if the command line asks for several. JAX must not have been used before.

    Raises:
      UserError: a flag is missing, or the other processes cannot be reached; one sentence.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--coordinator")
    first.add_argument("--num-processes", type=int)
    first.add_argument("--process-id", type=int)
    known, _ = first.parse_known_args(args)
    place = (known.num_processes, known.process_id)
    if known.coordinator == "auto" and place == (None, None):
        start = jax.distributed.initialize
    elif known.coordinator and None not in place:
        start = functools.partial(jax.distributed.initialize, known.coordinator, *place)
    elif known.coordinator or place != (None, None):
        raise UserError(
            "Several processes need --coordinator HOST:PORT, --num-processes and --process-id, or --coordinator auto."
        )
    else:
        return
    jax.config.update("jax_enable_preemption_service", False)  # otherwise it would handle SIGTERM itself
    try:
        start()
    except (ValueError, RuntimeError) as error:
        raise UserError(f"The processes could not come together: {first_line(error)}.") from error


def parse(args: list[str]) -> tuple[bool, Config]:
    """The config that a command line asks for, and whether it asks to resume.

    The task, the agent and the preset, or the run to resume, decide which flags there are and what their defaults are. So
    they are read first.

    Raises:
      UserError: a task, agent or preset is unknown, a flag is another agent's, or there is no run to resume; one sentence.
      SystemExit: help was asked for (0), or a flag is wrong (2).
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--env", default="humanoid")
    first.add_argument("--agent", default="dsac_e")
    first.add_argument("--preset", default="auto")
    first.add_argument("--run-dir")
    first.add_argument("--resume", action="store_true")
    known, _ = first.parse_known_args(args)
    if known.resume:
        if known.run_dir is None:
            raise UserError("--resume needs --run-dir: which run is to go on?")
        default = load_config(expanded(known.run_dir), **_own(known))
    else:
        with user_errors():
            default = preset(known.preset, known.env, known.agent)
    if jax.distributed.is_initialized():  # counting processes would start JAX
        default = dataclasses.replace(default, devices=jax.device_count())
    _check_agent_flags(args, default.agent)
    command = tyro.cli(Command, args=args, default=Command(default), prog=typed("train.run"))
    if not known.resume:
        # Some defaults depend on the length of this run and its worlds (`train.adaptation`).
        length = {name: getattr(command.config, name) for name in LENGTH}
        adapted = preset(known.preset, known.env, known.agent, **length)
        values = {name: getattr(adapted, name) for name in ("agent_args", "learning_starts")}
        if any(value != getattr(default, name) for name, value in values.items()):
            default = dataclasses.replace(default, **values)
            command = tyro.cli(Command, args=args, default=Command(default), prog=typed("train.run"))
    return command.resume, command.config


def _own(known: argparse.Namespace) -> dict[str, str]:
    """The names of code of one's own on a command line, by their flag. A run that goes on has to be given them again."""
    with user_errors():
        return {flag: name for flag, name in vars(known).items() if flag in GROUPS and as_own_code(name) is not None}


def _check_agent_flags(args: list[str], agent: str) -> None:
    """Refuses a flag that only other agents have, with their names: it is a misunderstanding rather than a typing error."""
    for given in (arg.split("=")[0] for arg in args if arg.startswith("--agent.")):
        name = given.removeprefix("--agent.").removeprefix("no-").replace("-", "_")
        owners = [other for other, kind in AGENTS.items() if name in kind.Config.__dataclass_fields__]
        if owners and name not in find_agent(agent).Config.__dataclass_fields__:
            raise UserError(f"{label(agent)} has nothing that {given} could set; agents that have it: {', '.join(owners)}.")


if __name__ == "__main__":
    sys.exit(main())
