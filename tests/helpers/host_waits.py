"""Counts what makes the host wait for a device, by what it asks of tensors: on a CPU it asks the same, and nothing waits."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# Their result is a Python number, or has a shape that depends on values.
WAITS = ("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "unique_dim", "_unique2")
INDEXED = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index")


class HostWaits(TorchDispatchMode):
    """Inside, `count` has the name of each operation for which the host would wait, and how often it ran."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        result = function(*args, **(kwargs or {}))
        if name in WAITS or (name in INDEXED and any(_waits(index, args[0]) for index in args[1])):
            self.count[name] += 1
        source = {"_to_copy": 0, "copy_": 1}.get(name)
        if source is not None and isinstance(args[source], Tensor) and args[source].device != result.device:
            self.count[name] += 1
        return result


def _waits(index: Tensor | None, values: Tensor) -> bool:
    """A mask is counted before it is used, and an index from elsewhere is fetched."""
    return index is not None and (index.dtype in (torch.bool, torch.uint8) or index.device != values.device)
