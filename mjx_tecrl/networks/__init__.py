"""Networks: pieces of their own, on which every policy head, critic and value head runs."""

from mjx_tecrl.networks.base import Architecture, Network, both_ends, ensemble, first_end
from mjx_tecrl.networks.mlp import mlp
from mjx_tecrl.networks.residual import residual

__all__ = ["Architecture", "Network", "both_ends", "ensemble", "first_end", "mlp", "residual"]
