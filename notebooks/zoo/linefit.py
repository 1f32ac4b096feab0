"""The oldest of reconstructions: a line through the pulses, weighted by charge. Nothing is trained."""

import torch
from torch import nn


class LineFit(nn.Module):
    """Minus the velocity that fits the pulses best (weighted least squares), as a unit vector."""

    def forward(self, pos, time, charge, auxiliary, mask) -> torch.Tensor:
        weight = mask.float() * (1.0 - 0.95 * auxiliary.float()) * torch.pow(10.0, 1.5 * charge)
        weight = weight / weight.sum(1, keepdim=True).clamp_min(1e-9)
        center = (pos * weight[..., None]).sum(1)
        middle = (time * weight).sum(1, keepdim=True)
        late = (time - middle) * weight
        velocity = (late[..., None] * (pos - center[:, None])).sum(1)
        # Nowhere to go: downwards, as most of what is seen from above.
        still = velocity.norm(dim=1, keepdim=True)
        up = torch.tensor([[0.0, 0.0, 1.0]])
        return torch.where(still > 1e-9, -velocity / still.clamp_min(1e-9), up)
