"""The larger run behind a stored table of chapter 11: alignment where training subjects are few.

In:  nothing; every brain is simulated.
Out: ``book/grid.csv``, one row for each preset and strategy, and one for the mean of the strategies.
Takes about ten minutes on two cores; trainings are kept in the user's cache, so that it goes on where it
stopped.

    python book/grid.py

Its cohorts are not those of the chapter, and were not looked at before the design was fixed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kernel import files  # noqa: E402
from kernel.decoding.alignment import Alignment  # noqa: E402
from kernel.decoding.effects import family_mean, summarise  # noqa: E402
from kernel.decoding.interventions import run_cohorts  # noqa: E402
from kernel.decoding.training import TrainingSpec  # noqa: E402

STRATEGIES = [
    Alignment("rsa", 1.0),
    Alignment("rsa", 0.1),
    Alignment("cka", 0.1),
    Alignment("supcon_class", 1.0),
    Alignment("supcon_class", 0.1),
    Alignment("supcon_clip", 0.5),
    Alignment("supcon_clip", 0.1),
    Alignment("regression", 0.5),
    Alignment("regression", 0.1),
]
COHORTS, SUBJECTS, SEEDS, EPOCHS = range(100, 108), 4, 3, 100
CHANGES = [f"{arm}{end}" for arm in ("true", "placebo", "beyond") for end in ("", "_low", "_high")]
COLUMNS = ["preset", "label", "n", *CHANGES, "beyond_p", "beyond_holm"]


def grid(preset: str) -> pd.DataFrame:
    run = run_cohorts(
        COHORTS, preset, STRATEGIES, n_training=SUBJECTS, seeds=SEEDS, recipe=TrainingSpec(epochs=EPOCHS)
    )
    mean = family_mean(run).rename(columns={"value": "", "low": "_low", "high": "_high"}).stack()
    overall = {f"{arm}{end}": value for (arm, end), value in mean.items()}
    table = summarise(run)
    row = pd.DataFrame([{"label": f"mean of {len(table)}", "n": len(COHORTS), **overall}])
    return pd.concat([table, row], ignore_index=True).assign(preset=preset)


def main() -> None:
    table = pd.concat([grid(preset) for preset in ("default", "strong_valence")], ignore_index=True)
    head = (
        f"# simulated cohorts {COHORTS[0]} to {COHORTS[-1]}, {SUBJECTS} training subjects, {SEEDS} seeds, "
        f"{EPOCHS} epochs; changes of balanced accuracy, 95 % intervals over cohorts; python book/grid.py\n"
    )
    with files.atomic_path(ROOT / "book" / "grid.csv") as temporary:
        temporary.write_text(head + table[COLUMNS].round(4).to_csv(index=False), encoding="utf-8")


if __name__ == "__main__":
    main()
