"""Building blocks that more than one family shares."""

import torch
from torch import nn


class Island(nn.Module):
    """Marks a module whose numbers need 32 bits: `halve` leaves it as it is.

    Quantile maps, Fourier features of arguments in the thousands and graph neighborhoods lose their meaning in 16 bits.
    """


def halve(module: nn.Module) -> nn.Module:
    """Turn everything but the islands into 16-bit numbers, in place."""
    if isinstance(module, Island):
        return module
    for tensors in (module._parameters, module._buffers):
        for tensor in tensors.values():
            if tensor is not None and tensor.is_floating_point():
                tensor.data = tensor.data.half()
    for child in module.children():
        halve(child)
    return module


class Norm(nn.LayerNorm, Island):
    """Layer norm in 32 bits, whatever is around it."""


class Exact(nn.Linear, Island):
    """A linear layer in 32 bits."""


class NormedLinear(nn.Module):
    """A weight-normed linear layer (Salimans and Kingma 2016): direction and length of every row are learned apart."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        plain = nn.Linear(inputs, outputs)
        self.direction, self.bias = plain.weight, plain.bias
        self.length = nn.Parameter(plain.weight.detach().norm(dim=1, keepdim=True))

    def weight(self) -> torch.Tensor:
        return self.direction * (self.length / self.direction.norm(dim=1, keepdim=True))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.weight(), self.bias)

    def fold(self) -> nn.Linear:
        outputs, inputs = self.direction.shape
        plain = nn.Linear(inputs, outputs)
        with torch.no_grad():
            plain.weight.copy_(self.weight())
            plain.bias.copy_(self.bias)
        return plain


def fold_norms(module: nn.Module) -> None:
    """Replace every weight-normed layer below `module` by the plain layer that it amounts to."""
    for name, child in module.named_children():
        if isinstance(child, NormedLinear):
            setattr(module, name, child.fold())
        else:
            fold_norms(child)


class NormedMlp(nn.Module):
    """Batch norm, dropout and a linear layer, two or three times; emits logits."""

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        dropouts: tuple[float, ...],
        activation: type[nn.Module] = nn.LeakyReLU,
    ):
        super().__init__()
        layers: list[nn.Module] = [nn.BatchNorm1d(inputs), nn.Dropout(dropouts[0]), NormedLinear(inputs, hidden)]
        for dropout in dropouts[1:-1]:
            layers += [activation(), nn.BatchNorm1d(hidden), nn.Dropout(dropout), nn.Linear(hidden, hidden)]
        layers += [activation(), nn.BatchNorm1d(hidden), nn.Dropout(dropouts[-1]), NormedLinear(hidden, outputs)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x.to(self.layers[0].weight.dtype)).float()


def n_parameters(*modules: nn.Module) -> int:
    """Trainable numbers; what several modules share counts once."""
    return sum(p.numel() for p in {p for module in modules for p in module.parameters()} if p.requires_grad)
