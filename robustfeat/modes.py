"""Switch modules to eval mode for a while, and put every single submodule back as it was."""

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
