"""The best weights of a run: evaluated on held-out images, stored during training, and published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from robustfeat.backbones.network import Network
from robustfeat.features import hub
from robustfeat.runtime.files import sync
from robustfeat.runtime.progress import Progress
from robustfeat.training.journal import Journal
from robustfeat.training.run import Run


class Best:
    """Evaluates snapshots of a run and stores the best one in `run.best`, which its checkpoints contain, and in the folder best/.

    Args:
        run: the training run.
        out: the output folder of the run.
        journal: the log of the run.
        bar: the progress bar, which shows the results.
    """

    def __init__(self, run: Run, out: Path, journal: Journal, bar: Progress) -> None:
        self.run, self.out, self.journal, self.bar = run, out, journal, bar
        self._last: Network | None = None

    @property
    def measured_at(self) -> int:
        """The step of the last evaluation; -1 before the first one."""
        return -1 if self.run.best is None else self.run.best["measured_at"]

    def measure(self, minutes: float) -> None:
        """Evaluate a snapshot on held-out images and store it if it is the best so far.

        Args:
            minutes: the training time so far.
        """
        run = self.run
        network = run.snapshot()
        judge = run.heads or run.closeness
        head = "none" if judge is None else judge.meanwhile
        found: dict[str, Any] = {"step": run.step, "measured_at": run.step, "head": head}
        rank_by: tuple[float, ...] = (float(run.step),)
        if judge is not None:
            value, images = judge.measure(network), len(judge.held_out)
            found |= dict(zip(judge.keys, value, strict=True)) | {"images": images}
            rank_by = judge.rank(value)
            text = (
                f"step {run.step}: held-out {judge.measured} clean {value.clean:.3f}, "
                f"under PGD-{run.recipe.eval_steps} at {run.threat} {value.robust:.3f} ({images} images)"
            )
            self.journal.event(run.step, found, text, self.bar)
        if run.best is None or rank_by > tuple(run.best["rank"]):
            run.best = found | {"rank": rank_by}
            run.best_weights = _copied(network)
            self._publish(network, "best", run.best, minutes)
        run.best["measured_at"] = run.step
        self._last = network

    def choose_head(self) -> None:
        """Select the best of the possible heads for the best weights.

        It is called only at the end of training, because some heads take minutes to fit.
        """
        run, heads = self.run, self.run.heads
        assert run.best is not None
        if heads is None or heads.kinds == (heads.meanwhile,) or "heads" in run.best:
            return
        network = run.network(run.best_weights)
        found = heads.choose(network)
        head, best = next(iter(found.items()))
        run.best |= {"held_out_clean": best.clean, "held_out_robust": best.robust, "head": head}
        run.best["heads"] = {kind: accuracy._asdict() for kind, accuracy in found.items()}
        run.best_weights = _copied(network)
        tried = ", ".join(f"{kind} {a.clean:.3f} clean and {a.robust:.3f} under PGD" for kind, a in found.items())
        self.journal.event(run.step, {"head": head}, f"head {head}, chosen on held-out images of: {tried}", self.bar)

    def finish(self, minutes: float) -> None:
        """Write last/, with the selected kind of head, and write best/ again from memory, in case a kill lost it.

        Args:
            minutes: the training time of the run.
        """
        run = self.run
        network = self._last or run.snapshot()
        assert run.best is not None
        head = run.best["head"]
        if run.heads is not None and head != run.heads.meanwhile:
            run.heads.put(network, head)
        self._publish(network, "last", {"step": run.step, "head": head}, minutes)
        network.load_state_dict(run.best_weights)
        self._publish(network, "best", run.best, minutes)
        if run.accelerator.is_main_process:
            sync(self.out)
        run.accelerator.wait_for_everyone()

    def _publish(self, network: Network, name: str, found: dict[str, Any], minutes: float) -> None:
        if self.run.accelerator.is_main_process:
            facts = {key: value for key, value in found.items() if key not in ("rank", "measured_at", "head")}
            card = self.run.card(self.out.name, found["head"], facts | {"minutes": round(minutes, 2)})
            hub.save(self.out / name, network, card)


def _copied(network: Network) -> dict[str, Tensor]:
    return {key: value.detach().cpu().clone() for key, value in network.state_dict().items()}
