"""What selects the best weights of a run on its held-out images: heads where there are labels, else closeness to the teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfeat.runtime.parallel import rank
from robustfeat.training.closeness import Closeness
from robustfeat.training.heads import Heads
from robustfeat.training.roles import with_head_for

if TYPE_CHECKING:
    from robustfeat.training.run import Run


def heads_of(run: Run, *, quiet: bool) -> Heads | None:
    """Return the heads of a run on data with labels; None for other data."""
    if run.held_out is None or run.train_data.labels is None:
        return None
    recipe, objective = run.recipe, run.objective
    return Heads(
        recipe.head,
        objective.trains_head,
        objective.robust,
        with_head_for(run.train_data, run.teacher, run.teacher_card),
        objective.in_teachers_space,
        run.train_data,
        run.held_out,
        run.threat,
        recipe.eval_steps,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        quiet=quiet or rank() > 0,
    )


def closeness_of(run: Run) -> Closeness | None:
    """Return the measure of a run without labels; None for data with labels, and for a student in a space of its own."""
    unlabelled = run.train_data.labels is None and run.held_out is not None
    if not unlabelled or run.teacher is None or not run.objective.in_teachers_space:
        return None
    assert run.held_out is not None
    assert run.teacher_card is not None
    # A copy of the teacher has the teacher's head, which is not trained.
    kept = run.start_facts == run.teacher_facts and run.teacher_card.head != "none"
    return Closeness(
        run.teacher,
        "teacher" if kept else "none",
        run.held_out,
        run.threat,
        run.recipe.eval_steps,
        batch_size=run.recipe.batch_size,
        seed=run.recipe.seed,
    )
