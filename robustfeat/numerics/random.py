"""Random numbers as a function of their purpose: nothing here changes the global generators."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import torch


class Stream(IntEnum):
    """The purpose of random numbers: the second key of a generator, after the seed. The comments state the keys that follow.

    Published numbers depend on these values: a value is never changed, nor used for another purpose.
    """

    ORDER = 1  # of the training images: epoch
    AUGMENT = 2  # crop, flip and cutout: step, piece of the batch
    ATTACK = 3  # in training: step, process, part of the batch
    HEAD = 4  # which images choose the penalty of a head that is fitted
    HELD_OUT = 5  # the attack on held-out images: batch
    SETUP = 6  # of an objective: its heads and banks
    EVALUATE = 7  # attacks on a task: number of the ladder, rung, first case
    RESAMPLE = 8  # bootstrap of a metric
    HEALTH = 9  # checks for masked gradients: number of the ladder
    COMPARE = 10  # permutations of two models' results
    SHIFT = 11  # the attack on features: batch
    ADVERSARIAL_HEAD = 12  # images of an epoch: epoch; the attack on them: epoch, step
    RANKS = 13  # targets of the attackers of rankings
    POISON = 14  # which items of a gallery are poisoned
    CORESET = 15  # of PatchCore
    SHOTS = 16  # which images of each class
    OTHERS = 17  # which detectors of other classes an image meets
    LABEL_NOISE = 18  # which labels are wrong, and how


def generator(*keys: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator that depends on `keys` alone: a seed, or more, such as (seed, Stream.ORDER, epoch).

    Equal keys give equal numbers, so that a resumed run continues exactly; different keys, of any number and sign, give
    independent streams (NumPy's SeedSequence mixes them). Keys that name a stream are the one exception: zeros at their end have
    no effect, as each use of a stream has a fixed number of keys.
    """
    numbers = [int(key) for key in keys]
    # SeedSequence fills numbers up with zeros to its pool of four words, so that (1,) and (1, 0) were the same. Uses of a stream
    # end in zeros as well (epoch 0), and published numbers rest on them, so these stay. All others that end in zero, or do not
    # fit into the words, are mixed as a text, which ends with its last number, in a pool of another size, where they meet nobody.
    named = len(keys) == 1 or any(isinstance(key, Stream) for key in keys)
    if all(0 <= number < 2**32 for number in numbers) and (named or any(numbers[-1:])):
        mixed = np.random.SeedSequence(numbers)
    else:
        mixed = np.random.SeedSequence(int.from_bytes(repr(numbers).encode(), "little"), pool_size=8)
    state = mixed.generate_state(2, np.uint32)
    return torch.Generator(device=device).manual_seed(int(state[0]) << 31 ^ int(state[1]))
