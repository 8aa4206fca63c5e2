"""Going on with a run: from the newest checkpoint that is intact in all of its seeds."""

from rich.console import Console

from envs.command import UserError, say, warn
from mjx_tecrl.replay import Replay
from train.processes import largest
from train.program import Program
from train.record import Progress, Record
from train.seeds import all_seeds
from train.state import TrainState, state_axes


def restore_run(program: Program, records: list[Record], console: Console) -> tuple[TrainState | None, Progress]:
    """Restores the state and the progress; None instead of a state where there is no checkpoint yet.

    Args:
      program: of the run.
      records: of its seeds.
      console: where to say what a user should know.

    Raises:
      UserError: there are checkpoints, but none is intact, or they are another run's.
    """
    without = [record for record in records if not record.checkpoints.steps]
    if without:
        # A run may be killed while some of its seeds have their first checkpoint and others not yet.
        if any(len(record.checkpoints.steps) > 1 for record in records):
            raise UserError(f"{without[0].run_dir} has no checkpoint, while other seeds of the run have some.")
        say(console, "There is no checkpoint yet: the run begins again.")
        for record in records:
            record.checkpoints.clean(beyond=0)
        return None, Progress()
    shapes = program.training.state_shapes()
    step, states, progress = _newest_common(records, shapes)
    state = states[0]
    if len(states) > 1:
        state = all_seeds(states, state_axes(shapes, program.training.problem.agent))
    if (newest := largest(step)) != step:
        raise UserError(f"The checkpoint of step {newest} of {records[0].run_dir} is not there in all processes.")
    for record in records:
        record.checkpoints.clean(beyond=step)
    if isinstance(state.replay, Replay) and not int(state.replay.size):
        say(
            console,
            f"The checkpoint of step {step} has no replay: learning goes on when {program.config.learning_starts} "
            "transitions have been collected.",
        )
    return program.place(state), progress


def _newest_common(records: list[Record], shapes: TrainState) -> tuple[int, list[TrainState], Progress]:
    """The newest step of which every seed has an intact checkpoint, the seeds' states there, and their progress.

    Raises:
      UserError: there is no such step, or the seeds have not come equally far at it.
    """
    restored = [record.restore(shapes) for record in records]
    while len({step for step, _, _ in restored}) > 1:
        oldest = min(step for step, _, _ in restored)
        for number, record in enumerate(records):
            if restored[number][0] > oldest:
                warn(f"{record.run_dir} goes back from step {restored[number][0]}: the newest of all seeds is {oldest}.")
                restored[number] = record.restore(shapes, oldest)
    step, _, progress = restored[0]
    if any((one.chunks, one.iterations) != (progress.chunks, progress.iterations) for _, _, one in restored):
        raise UserError(f"The seeds of {records[0].run_dir.parent} have gone apart: go on with each of them alone.")
    return step, [state for _, state, _ in restored], progress
