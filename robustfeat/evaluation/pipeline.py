"""The attack on a task through the whole pipeline, from pixels to features: batched, shared by processes, and resumable."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from robustfeat.attacks import Attack, Classifier, Effort, Goal
from robustfeat.attacks.threat import Ball
from robustfeat.data import ImageDataset
from robustfeat.evaluation.deltas import Deltas
from robustfeat.evaluation.records import Finished, Records, total
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.random import Stream, generator
from robustfeat.numerics.types import Features, Images, Logits
from robustfeat.runtime.errors import IntegrityError
from robustfeat.runtime.parallel import gather_objects, rank, world_size
from robustfeat.runtime.progress import Progress
from robustfeat.tasks.aim import Aim

log = logging.getLogger(__name__)


class Cases(NamedTuple):
    """The cases that a task is evaluated on, on the CPU.

    Args:
        rows: (n,), the rows of the test set.
        targets: (n, ...), the target of each case.
        clean: (n, d), the features of the clean images.
        masks: (n, h, w), which pixels of each image are anomalous, for data that has masks.
    """

    rows: Tensor
    targets: Tensor
    clean: Features
    masks: Tensor | None = None

    def take(self, wanted: Tensor) -> Cases:
        """Return a selection of the cases for an attack, without masks, which attacks do not use."""
        return Cases(self.rows[wanted], self.targets[wanted], self.clean[wanted])


class Attacked(NamedTuple):
    """The features (n, d) of the attacked image of every case, and the effort of the attack."""

    features: Features
    effort: Effort


class Pipeline:
    """An extractor and one aim of a task, as one function of pixels that an attack can raise.

    Args:
        extractor: the model that is attacked.
        aim: the losses of a task fitted on its features.
        test: the test images.
        cases: the cases to attack.
        surrogate: returns the same pipeline through another extractor, on whose features a copy of the task is fitted.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        aim: Aim,
        test: ImageDataset,
        cases: Cases,
        surrogate: Callable[[FeatureExtractor], Pipeline] | None = None,
    ) -> None:
        self.extractor, self.aim, self.test, self.cases, self.surrogate = extractor, aim, test, cases, surrogate

    def images(self, part: slice) -> Images:
        """Return the clean images of a slice of the cases."""
        images = self.test.batch(self.cases.rows[part]).images
        return images.to(self.extractor.device, memory_format=torch.channels_last)

    def goal(self, part: slice) -> Goal:
        """Return the aim at a slice of the cases, which are checked: pixels -> features -> evidence of the task -> its losses."""
        device = self.extractor.device
        task, targets = self.aim.task, self.cases.targets[part].to(device)
        surrogate = self.surrogate
        return Goal(
            self.extractor,
            self.aim.losses,
            task.asked(self.cases.clean[part].to(device), targets),
            wins=self.aim.wins,
            evidence=task.evidence,
            classifier=Classifier(self._logits, targets) if self.aim.classifier else None,
            surrogate=None if surrogate is None else lambda source: surrogate(source).goal(part),
        )

    def _logits(self, images: Images) -> Logits:
        """Return the logits of images, for a task whose evidence is class scores."""
        return self.aim.task.evidence(self.extractor(images))

    def attack(
        self,
        ladder: Sequence[Attack],
        batch_size: int,
        key: tuple[int, ...],
        *,
        name: str,
        records: Records | None = None,
        quiet: bool = False,
    ) -> list[Attacked]:
        """Attack every case with each attack of a ladder; several processes share the batches.

        Args:
            ladder: attacks within growing threats; each starts from the result of the previous one.
            batch_size: cases per batch.
            key: of the random numbers.
            name: of the records and the progress bar.
            records: the records of finished batches; None keeps none.
            quiet: whether the progress bar is hidden.

        Returns:
            The result of each attack, in the order of the ladder.
        """
        count = len(self.cases.rows)
        starts = range(0, count, batch_size)
        done: dict[int, tuple[Tensor, list[Effort]]] = {}
        with Progress(name, count, "cases", quiet=quiet or rank() > 0) as bar:
            for i, start in enumerate(starts):
                if i % world_size() == rank():
                    part = slice(start, min(start + batch_size, count))
                    batch = self._finished(ladder, part, key, name, records)
                    done[start] = batch.features, batch.efforts
                bar.advance(min(batch_size, count - start))
        everywhere: dict[int, tuple[Tensor, list[Effort]]] = {}
        for found in gather_objects(done):
            everywhere |= found
        features = torch.cat([everywhere[start][0] for start in starts], dim=1)
        assert features.shape[1] == count, f"{features.shape[1]} of {count} cases came back"
        return [Attacked(part, total([everywhere[start][1][i] for start in starts])) for i, part in enumerate(features)]

    def _finished(
        self, ladder: Sequence[Attack], part: slice, key: tuple[int, ...], name: str, records: Records | None
    ) -> Finished:
        if records is None:
            return self._batch(ladder, part, key, keep=False)
        found = records.read(name, part.start)
        if found is None:
            found = self._batch(ladder, part, key, keep=records.images)
            records.write(name, part.start, found)
        return self._replayed(found, ladder, part) if records.replay else found

    def _batch(self, ladder: Sequence[Attack], part: slice, key: tuple[int, ...], *, keep: bool) -> Finished:
        """Attack one batch with each attack, in two halves if memory runs out; `keep` stores the images as well."""
        try:
            images, initial = self.images(part), None
            features, efforts, deltas = [], [], []
            for i, attack in enumerate(ladder):
                goal = self.goal(part)
                random = generator(*key[:1], Stream.EVALUATE, *key[1:], i, part.start, device=self.extractor.device)
                initial = attack(goal, images, generator=random, initial=initial)
                efforts.append(goal.effort)
                if keep:  # the numbers must be those of the images that are kept
                    deltas.append(self._rounded(attack.threat.around(images), initial, goal.uncounted()))
                features.append(self._features(deltas[-1].images(images) if keep else initial))
            return Finished(torch.stack(features), efforts, deltas)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not _out_of_memory(error) or part.stop - part.start < 2:
                raise
        # Outside the handler, which would hold on to the memory.
        middle = (part.start + part.stop) // 2
        log.warning("out of memory with %d images; going on with %d", part.stop - part.start, middle - part.start)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        first, second = (
            self._batch(ladder, half, key, keep=keep) for half in (slice(part.start, middle), slice(middle, part.stop))
        )
        return first.join(second)

    def _rounded(self, ball: Ball, attacked: Images, goal: Goal) -> Deltas:
        """Return images to keep, rounded except where rounding would undo the attacker's success or cost more than 1 %."""
        deltas = Deltas.between(ball, attacked)
        rounded, whole = (goal.judge(images) for images in (deltas.images(ball.origin), attacked))
        if goal.wins:
            return deltas.keeping((whole > 0) & (rounded <= 0), attacked)
        return deltas.keeping(whole - rounded > 0.01 * (whole - goal.judge(ball.origin)), attacked)

    def _replayed(self, found: Finished, ladder: Sequence[Attack], part: slice) -> Finished:
        """Return the batch with features recomputed from its kept images, which must be within the threat."""
        images, features = self.images(part), []
        for attack, deltas in zip(ladder, found.deltas, strict=True):
            attacked = deltas.images(images)
            if not bool((attack.threat.around(images).distance(attacked) <= attack.threat.eps + 1e-6).all()):
                raise IntegrityError(f"cases {part.start} to {part.stop} hold images outside {attack.threat}")
            features.append(self._features(attacked))
        return found._replace(features=torch.stack(features))

    @torch.no_grad()
    def _features(self, images: Images) -> Features:
        return self.extractor(images).cpu()


def _out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out; CUDA has its own error, and on the CPU the torch allocator raises a RuntimeError."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in text
