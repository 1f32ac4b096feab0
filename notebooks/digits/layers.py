"""Building blocks that more than one network shares."""

import torch
from torch import nn

BRIGHTEST = 16.0  # the data set's largest pixel value


class Scale(nn.Module):
    """Bring raw pixels to 0..1 inside the graph, so that nobody has to outside."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels * (1.0 / BRIGHTEST)


class GhostBatchNorm(nn.BatchNorm1d):
    """Batch norm over small virtual batches: noisier statistics, more regularization."""

    def __init__(self, width: int, virtual_batch: int = 32):
        super().__init__(width, momentum=0.05)
        self.virtual_batch = virtual_batch

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x)
        # Near-equal chunks: a plain split could leave a last chunk of one row.
        chunks = max(1, x.shape[0] // self.virtual_batch)
        return torch.cat([super(GhostBatchNorm, self).forward(c) for c in x.tensor_split(chunks)])


class NormedLinear(nn.Module):
    """A bias-free linear layer and its batch norm; `fold` makes one layer of both."""

    def __init__(self, inputs: int, outputs: int, norm: type[nn.BatchNorm1d] = nn.BatchNorm1d):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.norm = norm(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.linear(x))

    def fold(self) -> nn.Linear:
        norm = self.norm
        with torch.no_grad():
            gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            folded = nn.Linear(self.linear.in_features, self.linear.out_features)
            folded.weight.copy_(self.linear.weight * gain[:, None])
            folded.bias.copy_(norm.bias - norm.running_mean * gain)
        return folded


def fold_norms(module: nn.Module) -> None:
    """Replace every `NormedLinear` below `module` by the plain layer it amounts to."""
    for name, child in module.named_children():
        if isinstance(child, NormedLinear):
            setattr(module, name, child.fold())
        else:
            fold_norms(child)
