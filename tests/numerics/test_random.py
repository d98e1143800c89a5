"""Streams: those that published numbers rest on are what they were, and different keys are different streams."""

from __future__ import annotations

import ast
import itertools

import numpy as np
import pytest
import torch
from repository import ROOT

from robustfeat.numerics.random import Stream, generator

# Of every stream, how many keys follow it; two numbers where it has two uses.
FOLLOWING = {
    Stream.ORDER: (1,),
    Stream.AUGMENT: (2,),
    Stream.ATTACK: (3,),
    Stream.HEAD: (0,),
    Stream.HELD_OUT: (1,),
    Stream.SETUP: (0,),
    Stream.EVALUATE: (3,),
    Stream.RESAMPLE: (0,),
    Stream.HEALTH: (1,),
    Stream.COMPARE: (0,),
    Stream.SHIFT: (1,),
    Stream.ADVERSARIAL_HEAD: (1, 2),
    Stream.RANKS: (0,),
    Stream.POISON: (0,),
    Stream.CORESET: (0,),
    Stream.SHOTS: (0,),
    Stream.OTHERS: (0,),
    Stream.LABEL_NOISE: (0,),
}


def published(*keys: int) -> int:
    """The seed that was made of keys when the published models were trained and measured."""
    state = np.random.SeedSequence([key & 0xFFFFFFFF for key in keys]).generate_state(2, np.uint32)
    return int(state[0]) << 31 ^ int(state[1])


def library_keys() -> list[tuple[int, ...]]:
    """What the library asks for, zeros at the end among it."""
    values = (0, 1, 7, 300)
    return [(seed,) for seed in values] + [
        (seed, stream, *rest)
        for stream, counts in FOLLOWING.items()
        for count in counts
        for seed in (0, 5, 2**32 - 1)
        for rest in itertools.product(values, repeat=count)
    ]


def test_the_numbers_of_streams_stay() -> None:
    assert set(FOLLOWING) == set(Stream)
    assert [int(stream) for stream in Stream] == list(range(1, 19))
    assert [Stream.ORDER, Stream.ATTACK, Stream.EVALUATE, Stream.LABEL_NOISE] == [1, 3, 7, 18]


def test_published_streams_are_what_they_were() -> None:
    others = [(0, 1), (70, 3), (1, 10, 8), (0, 0, 1), (1, 2, 3, 4, 5)]  # as tests and users have them
    for keys in library_keys() + others:
        assert generator(*keys).initial_seed() == published(*keys), keys


def test_every_use_of_a_stream_is_known() -> None:
    """How many keys follow a stream in the source: a new use with another number of them would meet the first at zeros."""
    for path in [*(ROOT / "robustfeat").rglob("*.py"), *(ROOT / "tasks").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "generator":
                texts = [ast.unparse(key) for key in node.args]
                names = [text for text in texts if text.startswith("Stream.")]
                assert len(texts) == 1 or len(names) == 1 or "testing" in path.parts, f"{path.name}: {texts}"
                if names and not any(text.startswith("*") for text in texts):
                    assert len(texts) - 2 in FOLLOWING[Stream[names[0].removeprefix("Stream.")]], (
                        f"{path.name}: {texts}"
                    )


def test_different_keys_are_different_streams() -> None:
    values = (0, 1, 2, 255, 2**32 - 1, 2**32, 2**40, -1, -(2**32))
    plain: list[tuple[int, ...]] = [()]
    for length in (1, 2, 3):
        plain += itertools.product(values, repeat=length)
    plain += [(1, *[0] * zeros) for zeros in range(3, 9)]
    seeds = {generator(*keys).initial_seed() for keys in plain}
    assert len(seeds) == len(plain)
    # One pair of the library's own uses is alike, and stays, since heads are published that were trained so: the images of an
    # epoch, and the attack at step 0, which is in the first epoch.
    own = library_keys()
    alike = {keys for keys in own if keys[1:2] == (Stream.ADVERSARIAL_HEAD,) and len(keys) == 4 and keys[3] == 0}
    assert len({generator(*keys).initial_seed() for keys in own}) == len(own) - len(alike)


@pytest.mark.parametrize(("one", "two"), [((1,), (1, 0)), ((1, 0), (1, 0, 0)), ((0,), (2**32,)), ((-1,), (2**32 - 1,))])
def test_keys_that_were_alike(one: tuple[int, ...], two: tuple[int, ...]) -> None:
    assert published(*one) == published(*two)
    draws = [torch.rand(4, generator=generator(*keys)) for keys in (one, two)]
    assert not torch.equal(*draws)


def test_equal_keys_are_equal_streams() -> None:
    for keys in [(3,), (3, 0), (3, Stream.ORDER, 2), (-5, 1)]:
        again = [np.int64(key) if not isinstance(key, Stream) else key for key in keys]
        assert torch.equal(*(torch.rand(9, generator=generator(*each)) for each in (keys, again)))
