"""The report of a study: one page of figures, tables and verdicts that opens without a network.

In:  the folder of a study that has run, in part or in full.
Out: ``report.html`` in it, figures and style inside.
Never computes a result: what has not run is named as such.
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
from kernel.studies import Study, collect, open_study, plan, read_result, status

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
.box { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #8886; text-align: left; vertical-align: top; }
img { max-width: 100%; background: white; } .note { border-left: 4px solid #b35900; padding-left: 1rem; }
"""


def write_report(folder: str | Path) -> Path:
    """Write the page from what the finished tasks of a study found.

    Parameters
    ----------
    folder : path-like
        Of :func:`kernel.studies.run_study`.

    Returns
    -------
    Path
        ``report.html`` in that folder.

    Raises
    ------
    StudyError
        If the folder holds no study.
    """
    folder = files.absolute(folder)
    study = open_study(folder)
    tables = collect(study, folder)
    parts = [*_head(study, folder, tables), *_verdicts(folder), *_sections(tables), *_missing(study, folder)]
    target = folder / "report.html"
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Report of a study</title><style>{_STYLE}</style></head><body><main>"
        + "\n".join(parts)
        + "</main></body></html>\n"
    )
    with files.atomic_path(target) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return target


def _head(study: Study, folder: Path, tables: dict[str, pd.DataFrame]) -> list[str]:
    found = ["<h1>Report of a study</h1>"]
    if "cohort" in tables:
        row = tables["cohort"].iloc[0]
        if row["simulated"]:
            found.append(
                '<p class="note"><strong>The EEG is simulated.</strong> Accuracies, correlations and '
                "verdicts below say nothing about people.</p>"
            )
        shown = ["data", "source", "subjects", "clips", "channels", "bands", "device", "versions", "package"]
        found.append(_table(pd.DataFrame({"what": shown, "value": [row[key] for key in shown]})))
    settings = pd.DataFrame([{"setting": k, "value": v} for k, v in vars(study).items()])
    return [
        *found,
        "<h2>Settings</h2>",
        _table(settings),
        "<h2>Work</h2>",
        _table(status(folder).reset_index()),
    ]


def _verdicts(folder: Path) -> list[str]:
    path = folder / "claims.json"
    if not path.is_file():
        return ["<h2>Verdicts</h2><p>None yet.</p>"]
    table = claims.show(*claims.read_ledger(path)).reset_index()
    return ["<h2>Verdicts</h2><p>By the rules of the book's ledger.</p>", _table(table)]


def _sections(tables: dict[str, pd.DataFrame]) -> list[str]:
    """A heading, a figure where one helps, and the table, for what there is."""
    found = []
    titles = {
        "axis": "Positions of the emotions on each model's axis",
        "sentiment": "Each axis on human-rated texts",
        "projection": "EEG projected onto the axis",
        "topography": "Where the EEG follows the axis",
        "members": "Classifiers",
        "convergence": "Do better classifiers follow the axis more?",
        "ablation": "What classifiers lose without their residual direction",
        "summary": "Alignment, each strategy beside its placebo",
        "refused": "Strategies that the data cannot serve",
        "contest": "Ensembles of one size",
    }
    for name, title in titles.items():
        if name not in tables:
            continue
        table = tables[name]
        found.append(f"<h2>{title}</h2>")
        label = str(table["data"].iloc[0])
        if name == "members":
            figure = plots.plot_forest(
                table, value="test", label=f"balanced accuracy on new people, {label}", group="network"
            )
            found.append(_image(figure, f"Balanced accuracy of every classifier on test people, {label}"))
        if name == "summary":
            arms = {"the axis": "true", "placebo": "placebo"}
            figure = plots.plot_paired_forest(table, arms, label=f"change of balanced accuracy, {label}")
            found.append(
                _image(figure, f"Change of balanced accuracy under each strategy and its placebo, {label}")
            )
        if name == "contest":
            own = table.dropna(subset=["low"]).rename(
                columns={"method": "label", "low": "difference_low", "high": "difference_high"}
            )
            figure = plots.plot_forest(
                own, value="difference", label=f"balanced accuracy minus deep ensemble, {label}", reference=0
            )
            found.append(
                _image(figure, f"Balanced accuracy of each ensemble minus the deep ensemble, {label}")
            )
        found.append(_table(table.drop(columns=[*_REPEATED], errors="ignore")))
    return found


#: Columns that are the same all over a report and stand at its head.
_REPEATED = ("source", "device", "versions", "package")


def _missing(study: Study, folder: Path) -> list[str]:
    beyond = (
        "<h2>Not part of a study</h2><p>Rates over simulated cohorts of known truth, doses and regimes of "
        "alignment, pools of ensembles, transfer to a second data set and decoding online are in the "
        "chapters of the book, which read recordings from the folder that KERNEL_DATA names.</p>"
    )
    left = [task.label for task in plan(study) if read_result(folder, task) is None]
    if not left:
        return [beyond]
    items = "".join(f"<li>{html.escape(label)}</li>" for label in left)
    return [f"<h2>Not run yet</h2><p><code>kernel run</code> goes on with these.</p><ul>{items}</ul>", beyond]


def _table(table: pd.DataFrame) -> str:
    text = table.to_html(index=False, na_rep="", float_format=lambda x: f"{x:.4g}", border=0)
    return f'<div class="box" tabindex="0">{text}</div>'


def _image(figure: Figure, alt: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, bbox_inches="tight")
    plt.close(figure)
    code = base64.b64encode(buffer.getvalue()).decode()
    return f'<p><img alt="{html.escape(alt, quote=True)}" src="data:image/png;base64,{code}"></p>'
