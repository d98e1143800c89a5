"""Counts what makes the host wait for a device, by what it asks of tensors: on a CPU it asks the same, and nothing waits."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# Their result is a Python number, or has a shape that depends on values.
WAITS = ("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "unique", "_unique2", "unique_dim")
MASKED = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index")


class HostWaits(TorchDispatchMode):
    """Inside, `count` has the name of each operation for which the host would wait, and how often it ran."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        name = function.overloadpacket.__name__
        if name in WAITS or (name in MASKED and _has_mask(args[1])):
            self.count[name] += 1
        result = function(*args, **(kwargs or {}))
        if name in ("_to_copy", "copy_") and _travelled(name, args, result):
            self.count[name] += 1
        return result


def _has_mask(indices: Any) -> bool:
    return any(isinstance(index, torch.Tensor) and index.dtype in (torch.bool, torch.uint8) for index in indices)


def _travelled(name: str, args: tuple, result: torch.Tensor) -> bool:
    source = args[0] if name == "_to_copy" else args[1]
    return isinstance(source, torch.Tensor) and source.device.type != result.device.type
