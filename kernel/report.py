"""The report of a study: one page of figures, tables and verdicts that opens without a network.

It computes no result: what has not run is named as such.
"""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from kernel import claims, files, plots
from kernel.plans import Study
from kernel.studies import collect, open_study, status
from kernel.tasks import Results

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
.box { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #8886; text-align: left; vertical-align: top; }
img { max-width: 100%; background: white; } .note { border-left: 4px solid #b35900; padding-left: 1rem; }
"""
_SIMULATED = (
    '<p class="note"><strong>The EEG is simulated.</strong> Accuracies, correlations and verdicts that '
    "rest on it say nothing about people.</p>"
)
_BEYOND = (
    "<h2>Not part of a study</h2><p>Rates over simulated cohorts of known truth, doses and regimes of "
    "alignment, pools of ensembles, transfer to a second data set and decoding online are in the "
    "chapters of the book, which read recordings from the folder that KERNEL_DATA names.</p>"
)
_TITLES = {
    "axis": "Positions of the emotions on each model's axis",
    "sentiment": "Each axis on human-rated texts",
    "projection": "EEG projected onto the axis",
    "topography": "Where the EEG follows the axis",
    "members": "Classifiers",
    "convergence": "Do better classifiers follow the axis more?",
    "ablation": "What classifiers lose without their residual direction",
    "summary": "Alignment, each strategy beside its placebo",
    "refused": "What the data cannot serve",
    "contest": "Ensembles of one size",
}
#: Columns that are the same all over a report and stand at its head.
_REPEATED = ["data", "simulated", "source", "device", "versions", "package"]


def write_report(folder: str | Path) -> Path:
    """Write ``report.html`` into a study's folder from what its finished tasks found; gives its place.

    Raises :class:`~kernel.plans.StudyError` if the folder holds no study.
    """
    folder = files.absolute(folder)
    study = open_study(folder)
    tables = collect(study, folder)
    found = [*_top(tables), *_verdicts(folder), *_sections(tables)]
    parts = [*found, *_not_run(study, folder), *_made(study, folder)]
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Report of a study</title><style>{_STYLE}</style></head><body><main>"
        + "\n".join(parts)
        + "</main></body></html>\n"
    )
    target = folder / "report.html"
    with files.atomic_path(target) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return target


def _top(tables: dict[str, pd.DataFrame]) -> list[str]:
    if "cohort" not in tables:
        return ["<h1>Report of a study</h1>"]
    row = tables["cohort"].iloc[0]
    names = ["data", "source", "subjects", "clips", "channels", "bands", "device", "versions", "package"]
    facts = _html_table(pd.DataFrame({"what": names, "value": [row[name] for name in names]}))
    return ["<h1>Report of a study</h1>", *([_SIMULATED] if row["simulated"] else []), facts]


def _made(study: Study, folder: Path) -> list[str]:
    settings = pd.DataFrame(vars(study).items(), columns=["setting", "value"])
    work = _html_table(status(folder).reset_index())
    return ["<h2>Settings</h2>", _html_table(settings), "<h2>Work</h2>", work]


def _verdicts(folder: Path) -> list[str]:
    rows = claims.read_ledger(folder / "claims.json")
    if not rows:
        return ["<h2>Verdicts</h2><p>None yet.</p>"]
    table = claims.show(*rows)
    table["claim"] = table.index + ": " + table["claim"]
    means = [claims.load_claim(row.id).means.get(claims.plain_verdict(row.verdict)) for row in rows]
    table["claim"] += [f" Here: {words}." if words else "" for words in means]
    table["model"] = [row.note for row in rows]
    columns = ["claim", "verdict", "ours", "interval", "p", "paper", "model"]
    return ["<h2>Verdicts</h2><p>By the rules of the book's ledger.</p>", _html_table(table[columns])]


def _sections(tables: dict[str, pd.DataFrame]) -> list[str]:
    """A heading, a figure where one helps, and the table, for what there is."""
    parts = []
    for name, title in _TITLES.items():
        if name in tables:
            data = "simulated EEG" if tables[name]["simulated"].iloc[0] else tables[name]["data"].iloc[0]
            table = tables[name].drop(columns=_REPEATED, errors="ignore")
            figure, numbers = _figure(name, table, data), _html_table(table)
            if figure:
                numbers = f"<details><summary>The numbers of this figure</summary>{numbers}</details>"
            parts += [f"<h2>{title}</h2>", *figure, numbers]
    return parts


def _figure(name: str, table: pd.DataFrame, data: str) -> list[str]:
    if name == "members":
        label = f"balanced accuracy on new people, {data}"
        figure = plots.plot_forest(table, value="test", label=label, group="network")
        return [_image(figure, f"Balanced accuracy of every classifier on test people, {data}")]
    if name == "summary":
        arms, label = {"the axis": "true", "placebo": "placebo"}, f"change of balanced accuracy, {data}"
        figure = plots.plot_paired_forest(table, arms, label=label)
        return [_image(figure, f"Change of balanced accuracy under each strategy and its placebo, {data}")]
    if name == "contest":
        names = {"method": "label", "low": "difference_low", "high": "difference_high"}
        rows, label = table.dropna(subset=["low"]), f"balanced accuracy minus deep ensemble, {data}"
        figure = plots.plot_forest(rows.rename(columns=names), value="difference", label=label, reference=0)
        return [_image(figure, f"Balanced accuracy of each ensemble minus the deep ensemble, {data}")]
    return []


def _not_run(study: Study, folder: Path) -> list[str]:
    missing = Results(folder).missing(study.plan())
    if not missing:
        return [_BEYOND]
    items = "".join(f"<li>{html.escape(task.label)}</li>" for task in missing)
    head = "<h2>Not run yet</h2><p><code>kernel run</code> goes on with these.</p>"
    return [f"{head}<ul>{items}</ul>", _BEYOND]


def _html_table(table: pd.DataFrame) -> str:
    text = table.to_html(index=False, na_rep="", float_format=_number, border=0)
    return f'<div class="box" tabindex="0">{text}</div>'


def _number(x: float) -> str:
    return f"{x:.0f}" if abs(x) >= 1000 else f"{x:.3g}"


def _image(figure: Figure, alt: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, bbox_inches="tight")
    plt.close(figure)
    code = base64.b64encode(buffer.getvalue()).decode()
    return f'<p><img alt="{html.escape(alt, quote=True)}" src="data:image/png;base64,{code}"></p>'
