"""Switch modules to eval mode or freeze them for a while, and put everything back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """Inside, all `modules` are in eval mode; after, each submodule has the mode it had (a frozen batch norm stays frozen)."""
    modes = {submodule: submodule.training for module in modules for submodule in module.modules()}
    try:
        for module in modules:
            module.eval()
        yield
    finally:
        for submodule, training in modes.items():
            submodule.training = training


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Inside, no parameter of the module asks for a gradient."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
