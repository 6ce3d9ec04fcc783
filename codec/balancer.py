"""Loss balancing by gradient norm (EnCodec, Défossez et al. 2022, section 3.4)."""

import torch
from torch import Tensor

from .distributed import all_reduce_mean


class Balancer:
    """Turns several losses on one output into one gradient in which each has a chosen share.

    The first loss keeps its own scale; every other gradient is rescaled so that its norm, by moving averages,
    is `weights[name] / weights[first]` times the first one's.

    Args:
        weights: share of each loss, the leading one first.
        decay: of the moving averages of the norms.
    """

    def __init__(self, weights: dict[str, float], decay: float = 0.99):
        self.weights, self.decay = weights, decay
        self.norms: dict[str, float] = {}

    def gradient(self, losses: dict[str, Tensor], output: Tensor) -> Tensor:
        """The combined gradient at `output`; `losses` are scalars that depend on it."""
        gradients = {}
        for name in self.weights:
            (gradients[name],) = torch.autograd.grad(losses[name], output, retain_graph=True)
        observed = torch.stack([g.flatten(1).norm(dim=1).mean() for g in gradients.values()])
        for name, norm in zip(gradients, all_reduce_mean(observed).tolist(), strict=True):
            self.norms[name] = self.decay * self.norms.get(name, 0.0) + (1 - self.decay) * norm
        first = next(iter(self.weights))
        total = torch.zeros_like(output)
        for name, gradient in gradients.items():
            share = self.weights[name] / self.weights[first]
            scale = 1.0 if name == first else share * self.norms[first] / max(self.norms[name], 1e-12)
            total += gradient * min(scale, 1e6)
        return total

    def state_dict(self) -> dict:
        """Everything a resumed run needs."""
        return {"norms": dict(self.norms)}

    def load_state_dict(self, state: dict) -> None:
        """Take up where `state_dict` left off."""
        self.norms = dict(state["norms"])
