"""The order of the data is a function of (seed, epoch, step), and augmentation does what a plain loop does."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from robustfeat.data import Augment, Loader, MemoryImages, StreamedImages, dataset
from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Batch

N = 53
AUGMENT = Augment(crop=2, flip=True, cutout=3)


@pytest.fixture(scope="module")
def data() -> MemoryImages:
    """Every image says its row number in its first channel."""
    images = torch.randint(0, 256, (N, 3, 6, 6), generator=generator(0), dtype=torch.uint8)
    images[:, 0] = torch.arange(N, dtype=torch.uint8).view(N, 1, 1)
    return MemoryImages("numbered", images, torch.arange(N) % 7)


def assert_same(one: list[Batch], two: list[Batch]) -> None:
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.rows, b.rows)
        assert a.labels is not None
        assert b.labels is not None
        assert torch.equal(a.labels, b.labels)


def rows(parts: list[Batch]) -> list[int]:
    return [int(row) for part in parts for row in part.rows]


@pytest.mark.parametrize("start", [0, 1, 4, 5, 6, 13])
def test_it_resumes_anywhere(data: MemoryImages, start: int) -> None:
    whole = list(itertools.islice(Loader(data, 10, 3, AUGMENT).steps(0), 15))
    resumed = list(itertools.islice(Loader(data, 10, 3, AUGMENT).steps(start), 15 - start))
    for one, two in zip(whole[start:], resumed, strict=True):
        assert_same(one, two)


def test_any_step_can_be_asked_for_in_any_order(data: MemoryImages) -> None:
    loader = Loader(data, 10, 3, AUGMENT)
    sequential = list(itertools.islice(loader.steps(0), 12))
    for step in (11, 0, 7, 7, 3, 10, 1):
        assert_same(loader.step(step), sequential[step])


@pytest.mark.parametrize("batch_size", [1, 7, 10, 53, 500])
def test_an_epoch_is_a_permutation(data: MemoryImages, batch_size: int) -> None:
    loader = Loader(data, batch_size, 0, Augment())
    size = min(batch_size, N)
    assert loader.steps_per_epoch == N // size
    epochs = []
    for epoch in range(3):
        seen = [
            row for i in range(loader.steps_per_epoch) for row in rows(loader.step(epoch * loader.steps_per_epoch + i))
        ]
        assert len(seen) == len(set(seen)) == N - N % size
        epochs.append(seen)
    assert epochs[0] != epochs[1] != epochs[2]


def test_seeds_give_other_orders_and_other_crops(data: MemoryImages) -> None:
    one, two = Loader(data, N, 0, AUGMENT).step(0)[0], Loader(data, N, 1, AUGMENT).step(0)[0]
    assert not torch.equal(one.rows, two.rows)
    alone = [Loader(data.take([0]), 1, seed, AUGMENT).step(0)[0].images for seed in range(20)]
    assert len(torch.cat(alone).unique(dim=0)) > 15


def test_every_epoch_augments_anew(data: MemoryImages) -> None:
    loader = Loader(data.take([0]), 1, 0, AUGMENT)
    assert len(torch.cat([loader.step(epoch)[0].images for epoch in range(20)]).unique(dim=0)) > 15


def test_images_and_labels_belong_to_their_rows(data: MemoryImages) -> None:
    for parts in itertools.islice(Loader(data, 8, 0, Augment()).steps(0), 8):
        for batch in parts:
            assert batch.labels is not None
            assert torch.equal(batch.labels, batch.rows % 7)
            assert torch.equal(batch.images, data.images[batch.rows].float() / 255)


@pytest.mark.parametrize(("world", "parts"), [(2, 1), (1, 2), (2, 3), (3, 1), (3, 2)])
def test_processes_share_the_batch_of_one(data: MemoryImages, world: int, parts: int) -> None:
    size = world * parts * 4
    alone = Loader(data, size, 5, AUGMENT, parts=world * parts)
    plain = Loader(data, size, 5, AUGMENT)
    ranks = [Loader(data, size, 5, AUGMENT, rank=rank, world=world, parts=parts) for rank in range(world)]
    for step in range(7):
        together = [batch for rank in ranks for batch in rank.step(step)]
        assert rows(together) == rows(plain.step(step))
        assert_same(together, alone.step(step))


def test_a_batch_that_can_not_be_shared_shrinks(data: MemoryImages) -> None:
    loader = Loader(data, 10, 0, Augment(), world=3, parts=1)
    assert loader.batch_size == 9
    assert [len(batch) for batch in loader.step(0)] == [3]


def test_more_pieces_than_images_are_refused(data: MemoryImages) -> None:
    with pytest.raises(ValueError, match="53 images cannot be shared by 60 processes"):
        Loader(data, 100, 0, Augment(), world=60)
    with pytest.raises(ValueError, match="'numbered' is empty"):
        Loader(data.take(torch.arange(0)), 100, 0, Augment())


def by_hand(images: Tensor, augment: Augment, random: torch.Generator) -> Tensor:
    """Augment in plain loops, from the same draws."""
    n, _, h, w = images.shape
    draws = torch.rand(5, n, generator=random).tolist()
    out = torch.zeros_like(images)
    span = 2 * augment.crop + 1
    for i in range(n):
        dy, dx = int(draws[0][i] * span) - augment.crop, int(draws[1][i] * span) - augment.crop
        top, left = int(draws[3][i] * h) - augment.cutout // 2, int(draws[4][i] * w) - augment.cutout // 2
        for y in range(h):
            for x in range(w):
                source_y = y + dy
                source_x = (w - 1 - x if augment.flip and draws[2][i] < 0.5 else x) + dx
                blank = augment.cutout and top <= y < top + augment.cutout and left <= x < left + augment.cutout
                if not blank and 0 <= source_y < h and 0 <= source_x < w:
                    out[i, :, y, x] = images[i, :, source_y, source_x]
    return out


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize(
    "augment",
    [Augment(), Augment(crop=2), Augment(flip=True), Augment(cutout=4), Augment(cutout=3), Augment(3, True, 5)],
    ids=repr,
)
def test_augmentation_equals_the_plain_loop(augment: Augment, dtype: torch.dtype) -> None:
    images = torch.randint(1, 256, (20, 3, 7, 9), generator=generator(1), dtype=torch.uint8).to(dtype)
    before = images.clone()
    found = augment(images, generator(2))
    assert found.dtype == dtype
    assert torch.equal(found, by_hand(images, augment, generator(2)))
    assert torch.equal(found, augment(images, generator(2)))
    assert torch.equal(images, before)


def test_half_of_the_images_are_flipped() -> None:
    images = torch.arange(3 * 5 * 5, dtype=torch.float32).view(1, 3, 5, 5).repeat(2000, 1, 1, 1)
    found = Augment(flip=True)(images, generator(0))
    flipped = (found == images.flip(3)).flatten(1).all(dim=1)
    kept = (found == images).flatten(1).all(dim=1)
    assert (flipped ^ kept).all()
    assert 900 < int(flipped.sum()) < 1100


def test_every_crop_is_drawn() -> None:
    images = torch.zeros(2000, 1, 7, 7)
    images[:, :, 3, 3] = 1
    found = Augment(crop=3)(images, generator(0))
    assert (found.flatten(1).sum(dim=1) == 1).all()
    counts = found.sum(dim=(0, 1))
    assert counts.min() > 15  # each of 49 places about 41 times


def test_cutout_blanks_one_square_of_at_most_its_side() -> None:
    found = Augment(cutout=4)(torch.ones(500, 3, 8, 8), generator(0))
    blank = found == 0
    assert (blank == blank[:, :1]).all()
    area, height, width = (
        blank[:, 0].sum(dim=(1, 2)), blank[:, 0].any(dim=2).sum(dim=1), blank[:, 0].any(dim=1).sum(dim=1)
    )  # fmt: skip
    assert torch.equal(area, height * width)
    assert height.max() == width.max() == 4
    assert area.min() >= 4


def test_shots() -> None:
    data = dataset("digits", "train")
    labels = data.require_labels()
    few = data.shots(5, seed=1)
    assert torch.bincount(few.require_labels()).tolist() == [5] * 10
    assert few.fingerprint == data.shots(5, seed=1).fingerprint != data.shots(5, seed=2).fingerprint
    fewest = int(torch.bincount(labels).min())
    with pytest.raises(ValueError, match="shots must be a whole number, at least 1, got 0"):
        data.shots(0)
    for n in (fewest + 1, 10_000):
        with pytest.raises(ValueError, match=rf"shots must be in 1\.\.\d+.*got {n}"):
            data.shots(n)


@pytest.mark.parametrize("augment", [Augment(), Augment(3, True, 5)], ids=repr)
def test_scaling_after_augmentation_gives_the_bits_of_scaling_before(augment: Augment) -> None:
    images = torch.randint(0, 256, (64, 3, 9, 9), generator=generator(1), dtype=torch.uint8)
    before = augment(images.float().div_(255), generator(2))
    assert torch.equal(augment(images, generator(2)).float().div_(255), before)


def test_batches_come_in_the_layout_that_is_asked_for(data: MemoryImages) -> None:
    plain = Loader(data, 10, 3, AUGMENT).step(2)
    other = Loader(data, 10, 3, AUGMENT, layout=torch.channels_last).step(2)
    assert_same(plain, other)
    assert other[0].images.is_contiguous(memory_format=torch.channels_last)


def test_images_that_are_decoded_on_demand_make_the_same_batches(data: MemoryImages) -> None:
    decoded = StreamedImages(
        "numbered", lambda row: data.images[row].permute(1, 2, 0).numpy(), torch.arange(N), data.labels, (), 6, "x"
    )
    for step in range(7):
        assert_same(Loader(data, 10, 3, AUGMENT).step(step), Loader(decoded, 10, 3, AUGMENT).step(step))


def test_augmentation_stays_on_the_device_of_the_images() -> None:
    """On a device without values; mixing it with the CPU is an error there."""
    random = generator(0)
    with FakeTensorMode():
        images = torch.zeros(4, 3, 8, 8, dtype=torch.uint8, device="meta")
        assert Augment(2, True, 3)(images, random).device == images.device
