"""One attack at several sizes, for a curve of robustness against eps; and the names of attacks in a report."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from robustfeat.attacks import Attack, Threat
from robustfeat.numerics.eps import Eps
from robustfeat.report import Sized

SIZES = tuple(Eps(f"{n}/255") for n in (1, 2, 4, 8, 12, 16))


def ladder(attack: Attack, sizes: Sequence[float] = SIZES) -> list[Attack]:
    """The same attack at growing sizes in pixel units; a step size grows along. Size 0 is the clean row of every report."""
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
    """What runs under a name, by its sizes: one attack, or a ladder of them."""
    rungs = [attack] if isinstance(attack, Attack) else list(attack)
    sizes = [rung.threat.eps for rung in rungs]
    if not sizes or sizes != sorted(set(sizes)) or len({rung.threat.norm for rung in rungs}) > 1:
        raise ValueError(
            f"ladder {name!r} needs attacks of one norm and growing eps, got {[str(r.threat) for r in rungs]}"
        )
    return {Sized(name, Eps(rung.threat.eps)): rung for rung in rungs}


def numbered(names: Sequence[str]) -> list[str]:
    """Names made unique: the second "pgd" becomes "pgd-2".

    >>> numbered(["pgd", "fgsm", "pgd"])
    ['pgd', 'fgsm', 'pgd-2']
    """
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return result
