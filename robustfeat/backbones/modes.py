"""Contexts in which modules are in eval mode or frozen, and after which their previous state is restored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """Put `modules` in eval mode inside the context.

    Afterwards each submodule has the mode that it had before (a frozen batch norm stays frozen).
    """
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
    """Disable the gradients of all parameters of the module inside the context."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
