"""Ladders of one attack at several sizes, for a curve of robustness against eps, and the names of attacks in a report."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from robustfeat.attacks import Attack, Threat
from robustfeat.numerics.eps import Eps
from robustfeat.report import Sized

SIZES = tuple(Eps(f"{n}/255") for n in (1, 2, 4, 8, 12, 16))


def ladder(attack: Attack, sizes: Sequence[float] = SIZES) -> list[Attack]:
    """Return the same attack at growing sizes; a step size is scaled in proportion.

    Args:
        attack: the attack.
        sizes: the sizes in pixel units; size 0 is not needed, as every report has a clean row.
    """
    rungs = []
    for size in sorted(sizes):
        changes: dict[str, object] = {"threat": Threat(attack.threat.norm, size)}
        # What is inside (the parts of Worst, the attack of Transfer) has the same threat.
        for inner in ("attack", "attacks"):
            parts = getattr(attack, inner, None)
            if isinstance(parts, Attack):
                (changes[inner],) = ladder(parts, [size])
            elif parts is not None:
                changes[inner] = tuple(ladder(part, [size])[0] for part in parts)
        step = getattr(attack, "step_size", None)
        if step is not None:
            changes["step_size"] = Eps(step * size / attack.threat.eps)
        rungs.append(dataclasses.replace(attack, **changes))  # type: ignore[arg-type]
    return rungs


def rungs_of(name: str, attack: Attack | Sequence[Attack]) -> dict[Sized, Attack]:
    """Return the attacks that run under a name, by their sizes.

    Args:
        name: the name of the attack in the report.
        attack: one attack, or a ladder of attacks.

    Raises:
        ValueError: if a ladder is empty, mixes norms, or has sizes that do not grow.
    """
    rungs = [attack] if isinstance(attack, Attack) else list(attack)
    sizes = [rung.threat.eps for rung in rungs]
    if not sizes or sizes != sorted(set(sizes)) or len({rung.threat.norm for rung in rungs}) > 1:
        raise ValueError(
            f"ladder {name!r} needs attacks of one norm and growing eps, got {[str(r.threat) for r in rungs]}"
        )
    return {Sized(name, Eps(rung.threat.eps)): rung for rung in rungs}


def numbered(names: Sequence[str]) -> list[str]:
    """Make names unique: the second "pgd" becomes "pgd-2".

    >>> numbered(["pgd", "fgsm", "pgd"])
    ['pgd', 'fgsm', 'pgd-2']
    """
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return result
