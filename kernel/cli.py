"""The command line: a thin layer over the package that shows no traceback of what its user can mend.

It ends with 0 if all went well, 1 if the work failed, 2 for a wrong command, 130 if interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; see ``kernel --help``."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["assets"]:
        from kernel import assets

        return assets.main(words[1:])
    options = _parser().parse_args(words)
    try:
        return options.act(options)
    except (ValueError, OSError) as error:  # the package's own are such, and say what to mend
        print(f"kernel: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("kernel: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kernel", description="The valence axis of language models and EEG."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="do what a study asks, or go on with it")
    run.add_argument("study", type=Path, help="a YAML file; an empty one is the study of the chapters")
    place = "where results go; by default the file's name without ending, for tables the book's"
    run.add_argument("--folder", type=Path, help=place)
    run.add_argument("--jobs", type=_positive, default=2, help="processes, of one thread each; default 2")
    run.add_argument("--scheduler", help="address of a Dask scheduler that gets the tasks instead")
    run.add_argument("--device", help="instead of the study's")
    run.add_argument("--dry-run", action="store_true", help="print the plan and what it takes, write nothing")
    run.add_argument("--quiet", action="store_true", help="no progress bar")
    run.set_defaults(act=_run_study)
    status = commands.add_parser("status", help="how far a study is")
    status.set_defaults(act=_show_status)
    report = commands.add_parser("report", help="write the report of what has run")
    report.set_defaults(act=_write_report)
    for command in (status, report):
        command.add_argument("folder", type=Path, help="the folder of a study")
    commands.add_parser("assets", help="list, fetch or verify published models and ratings", add_help=False)
    ledger = commands.add_parser("claims", help="the paper's claims with rules and verdicts")
    ledger.add_argument("id", nargs="?", help="one claim, such as C4.tracked")
    ledger.add_argument("--ledger", type=Path, help="the claims.json of a study; by default that of the book")
    ledger.set_defaults(act=_claims)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"takes a whole number of 1 or more, got {text!r}")
    return int(text)


def _run_study(options: argparse.Namespace) -> int:
    from kernel import plans, report, studies

    study = plans.load_study(options.study)
    if options.device:
        study = replace(study, device=options.device)
        study.check_machine()
    if study.tables:
        return _tables(study, options)
    if options.dry_run:
        print(study.costs().round(2).to_string())
        need = study.estimate(n_jobs=options.jobs)
        print(
            f"{need['trainings']} trainings, about {need['hours']:.2f} h with "
            f"{options.jobs} workers, {need['disk_gb']:.1f} GB of disk, {need['memory_gb']:.1f} GB of memory"
        )
        return 0
    folder = options.folder or options.study.with_suffix("")
    with _client(options.scheduler) as client:
        studies.run_study(study, folder, n_jobs=options.jobs, client=client, progress=not options.quiet)
    print(report.write_report(folder))
    return 0


def _client(address: str | None) -> Any:
    if address is None:
        return nullcontext()
    from kernel.plans import StudyError

    try:
        from distributed import Client
    except ImportError:
        raise StudyError("--scheduler needs Dask: pip install 'valence-axis[cluster]'") from None
    try:
        return Client(address, timeout=20)
    except (OSError, ValueError) as error:
        raise StudyError(f"no Dask scheduler answers at {address!r}: {error}") from None


def _show_status(options: argparse.Namespace) -> int:
    from kernel import studies

    table = studies.status(options.folder)
    print(table.round(1).to_string())
    print(f"{int(table['done'].sum())} of {int(table['tasks'].sum())} tasks are done")
    return 0


def _write_report(options: argparse.Namespace) -> int:
    from kernel import report

    print(report.write_report(options.folder))
    return 0


def _tables(study: Any, options: argparse.Namespace) -> int:
    """A study of the book's tables, which lie where the book reads them."""
    from kernel.audit import store

    if options.dry_run:
        plan = store.table_costs(study.tables)
        print(plan.round(2).to_string())
        print(f"{plan['parts'].sum()} parts; the stored ones took {plan['hours'].sum():.1f} h of one core")
        return 0
    with _client(options.scheduler) as client:
        how = {"n_jobs": options.jobs, "client": client, "progress": not options.quiet}
        print(store.run(study.path, study.tables, target=options.folder, **how))
    return 0


def _claims(options: argparse.Namespace) -> int:
    from kernel import claims, files

    if options.ledger and not files.absolute(options.ledger).is_file():
        raise claims.ClaimsError(f"no ledger {options.ledger}: name the claims.json of a study that has run")
    if options.id is None:
        table = claims.ledger(options.ledger)
        print(table[["id", "verdict", "value", "data"]].fillna("").to_string(index=False))
        return 0
    claim = claims.load_claim(options.id)
    rows = [row for row in claims.read_ledger(options.ledger) if row.id == options.id]
    print(f"{claim.id}: {claim.claim}\npaper: {claim.paper}\nrule: {claim.rule}")
    if claim.reading:
        print(f"in plain words: {claim.reading}")
    columns = ["ours", "interval", "p", "verdict", "data"]
    print(claims.show(*rows)[columns].to_string(index=False) if rows else "not run")
    return 0
