"""Random numbers as a function of what they are for: nothing here touches the global generators."""

from __future__ import annotations

import numpy as np
import torch


def generator(*keys: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator that depends on `keys` alone, for example (seed, purpose, epoch, step).

    Different keys give independent streams (NumPy's SeedSequence mixes them); equal keys give equal numbers, which is
    what makes a resumed run continue exactly.
    """
    state = np.random.SeedSequence([key & 0xFFFFFFFF for key in keys]).generate_state(2, np.uint32)
    return torch.Generator(device=device).manual_seed(int(state[0]) << 31 ^ int(state[1]))
