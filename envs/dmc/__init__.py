"""The DeepMind Control Suite, one file per domain. The models are those of the installed dm_control (extra ``dmc``)."""

from envs.dmc.acrobot import AcrobotSwingup, AcrobotSwingupSparse
from envs.dmc.ball_in_cup import BallInCupCatch
from envs.dmc.cartpole import (
    CartpoleBalance,
    CartpoleBalanceSparse,
    CartpoleSwingup,
    CartpoleSwingupSparse,
    CartpoleThreePoles,
    CartpoleTwoPoles,
)
from envs.dmc.cheetah import CheetahRun
from envs.dmc.dmc_task import DmcArgs, DmcTask
from envs.dmc.dog import DogRun, DogStand, DogTrot, DogWalk
from envs.dmc.finger import FingerSpin, FingerTurnEasy, FingerTurnHard
from envs.dmc.fish import FishSwim, FishUpright
from envs.dmc.hopper import HopperHop, HopperStand
from envs.dmc.humanoid import HumanoidRun, HumanoidRunPureState, HumanoidStand, HumanoidWalk
from envs.dmc.pendulum import PendulumSwingup
from envs.dmc.point_mass import PointMassEasy, PointMassHard
from envs.dmc.quadruped import QuadrupedRun, QuadrupedWalk
from envs.dmc.reacher import ReacherEasy, ReacherHard
from envs.dmc.swimmer import Swimmer6, Swimmer15
from envs.dmc.walker import WalkerRun, WalkerStand, WalkerWalk

__all__ = ["DMC_TASKS", "DmcArgs", "DmcTask"]

DMC_TASKS: dict[str, type[DmcTask]] = {
    task.name: task
    for task in (
        HumanoidStand,
        HumanoidWalk,
        HumanoidRun,
        HumanoidRunPureState,
        DogStand,
        DogWalk,
        DogTrot,
        DogRun,
        AcrobotSwingup,
        AcrobotSwingupSparse,
        BallInCupCatch,
        CartpoleBalance,
        CartpoleBalanceSparse,
        CartpoleSwingup,
        CartpoleSwingupSparse,
        CartpoleTwoPoles,
        CartpoleThreePoles,
        CheetahRun,
        FingerSpin,
        FingerTurnEasy,
        FingerTurnHard,
        FishUpright,
        FishSwim,
        HopperStand,
        HopperHop,
        PendulumSwingup,
        PointMassEasy,
        PointMassHard,
        QuadrupedWalk,
        QuadrupedRun,
        ReacherEasy,
        ReacherHard,
        Swimmer6,
        Swimmer15,
        WalkerStand,
        WalkerWalk,
        WalkerRun,
    )
}
"""Every task by its name on the command line, ``dmc/<domain>-<task>``."""
