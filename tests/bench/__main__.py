"""The command: measure, print the table, and fail where a budget is broken."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.contention import HEAD as CONTESTS
from tests.bench.contention import OWN_VERSIONS, Contest, contests, reasons
from tests.bench.measure import Row, table
from tests.bench.registries import git, isolate, make_dvc_project, make_registry

if TYPE_CHECKING:  # it imports MLflow
    from tests.bench.backends import Findings

PAGE = """\
# Benchmarks

What a call costs, measured beside the least that the same work can cost: git itself, a bare script; and beside GTO
and DVC, which answer the same questions. Both sides of a row ran in turn, in one run, on one machine; the times are
medians, "kept" says whether the budget was. Look at the ratios: the times depend on the machine.

Each model has 20 tags, made by the library's own writer. `Registry(…)` means a new object for each call, in a process
that has imported everything; "the whole process" starts with the interpreter. `git …` is one `subprocess.run` for
each git command, and reads or writes the same contents. To promote means to wait until the disk has it, on both sides.

Tags that lie loose, one file each, cost every reader: `git pack-refs --all` puts them into one file. What each model
comes to is remembered in the user's cache, so only the first list of a registry reads every event. That one works while
git does, and needs more than its budget where other programs want the processors.

A push costs git itself more where there are more tags, whoever calls it: the hub names all of its references, and both
sides walk them to see what they have in common. So our cost with many tags is held to our cost with few, times what
git's own grew. The hub is a bare repository on the same disk; a network adds its own time, to both sides.

To measure here, and to write this page:

```console
$ python -m nox -s bench
$ python -m nox -s bench -- --write docs/reference/benchmarks.md
```

`--quick` takes smaller registries and fewer repeats, and fails only where twice a budget is needed.

## Measured

{machine}

{table}
## Many writers

So many processes, each with a clone of its own, move one stage of one model in one hub, in turn to three versions that
nobody else moves (the model has {versions}): {calls} calls each, without a pause, all starting at one moment. Each
process has imported and opened what it uses and has read once. Hub, clones and database are on the disk of this
machine: there is no network, and one machine does the work of all of them.

* `promote` is this library as it comes: it fetches, pushes, and decides anew when another was faster.
* `gto.api.assign` is called with `push=True` after `git fetch --tags --force`, which brings what others wrote and
  takes back the tag that a refused push left in the clone: without that it could not go on. `force=True` allows a
  version to return to a stage. It does not try again, so a failed call is left to its caller.
* MLflow has no log and no clones: `set_registered_model_alias` overwrites a row, the last writer wins. Each process is
  a `MlflowClient` on one SQLite file in WAL mode, without a server between; it waits up to 20 s for the file.

p50 and p99 are of the calls that were acknowledged; the longest is of all. Refused means a `ConflictError`, failed any
other error. Lost are those that were acknowledged and that the hub does not have.

{contests}
{reasons}
## Where the log is kept

The same calls with the log in the tags of a repository, in SQLite and in PostgreSQL, beside MLflow's registry in SQLite
and on the same PostgreSQL server. One process has all of them open, each has answered before, and they are called in
turn: a `Registry` of ours, a `MlflowClient` without a server of MLflow's between. MLflow has as many models and
versions, five of each model, and the alias `current`. It keeps no log: who held a stage before, it can't tell.

* `get('m#current')`, while nothing changes, asks the database for the head of that model's log; the peer is
  `get_model_version_by_alias`. "Just after another wrote to the model", another `Registry` has annotated a version, so
  that the log is read and folded anew: 21 events in the first round, one more in each.
* `promote` moves the stage to and fro between two versions, the peer is `set_registered_model_alias`. Both wait until
  the disk has it: on SQLite ours sets `synchronous = FULL`, in the journal mode that `migrate` chose; MLflow sets
  neither, and SQLite's own are a rollback journal and `synchronous = FULL`. PostgreSQL has its own settings.
* `models()`, "the first time", remembers nothing of what each model comes to. The peer is `search_registered_models`,
  1,000 to a page, to the last one. With 1,000,000 events this is done once, else the times are medians.

A question may cost at most a third of what it costs MLflow in the same database; and with the most events 1.5 times of what it
costs with the fewest, for a model of at most 50 events. What one with a long history costs is beside that.

{facts}

{backends}
### Sizes

Tags were written by `git fast-import` and packed; a full clone is `git clone --bare` of that by a `file://` address.
Tables were filled model by model, each in a transaction, as `copy_log` does it; of 1,000,000 events, and of MLflow's
models, all but the first ones are rows written by the thousand, each as the tool itself had written the first. MLflow's
tables were there before; a model of its has no log, so it is smaller.

{sizes}"""


def main() -> int:
    """Measure everything; 1 if a budget is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller, fewer; only twice a budget fails")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the page with the table")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        rows = measure(Path(folder), quick=arguments.quick)
        calls = 5 if arguments.quick else 25
        writers = (1, 4) if arguments.quick else (1, 4, 16)
        met = meet(Path(folder, "contests"), writers, calls=calls)
        kept = keep(Path(folder, "backends"), quick=arguments.quick)
    facts = machine() + (" Measured with `--quick`." if arguments.quick else "")
    tables = {
        "table": table(rows), "contests": table(met, CONTESTS), "reasons": reasons(met), "facts": kept.facts,
        "backends": table(kept.rows), "sizes": table(kept.sizes, kept.head),
    }  # fmt: skip
    page = (
        PAGE.format(machine=facts, calls=calls, versions=OWN_VERSIONS * max(writers), **tables).rstrip()
        + "\n"
    )
    if arguments.write:
        arguments.write.write_text(page, encoding="utf-8")
    print(facts, *tables.values(), sep="\n\n")
    broken = [row.what for row in [*rows, *kept.rows] if row.excess > (2 if arguments.quick else 1)]
    broken += [
        f"{row.tool}, {row.writers} writers: acknowledged and lost" for row in met if row.is_ours and row.lost
    ]
    for what in broken:
        print(f"broken: {what}", file=sys.stderr)
    return 1 if broken else 0


def measure(folder: Path, *, quick: bool) -> list[Row]:
    """Every row; the registries are made in ``folder``."""
    isolate(folder)
    from tests.bench import logs, processes  # these import DVC and GTO, which read the environment

    small, large = 1_000, 10_000 if quick else 100_000
    loose, megabytes = (1_000, 20) if quick else (10_000, 100)
    asked = 1_000 if quick else 10_000
    promoted = (100, 10_000) if quick else (100, 10_000, 100_000)
    repeats = 7 if quick else 15
    say("building registries")
    sizes = sorted({small, large, asked, *promoted})
    packed = {tags: make_registry(folder / f"packed-{tags}", tags) for tags in sizes}
    scattered = make_registry(folder / f"loose-{loose}", loose, loose=True)
    rows: list[Row] = []
    say("reading")
    places = {
        f"{small:,} packed tags": packed[small],
        f"{large:,} packed tags": packed[large],
        f"{loose:,} loose tags": scattered,
    }
    rows += logs.first_get(places, repeats=repeats)
    rows += logs.next_get(packed[large], large)
    say("listing")
    rows += logs.listing(folder, asked, repeats=max(5, repeats // 3))
    for tags in promoted:
        say(f"promoting among {tags:,}")
        rows += logs.promoting(packed[tags], tags, repeats=repeats)
    shared = []
    for tags in (small, large):
        say(f"sharing among {tags:,}")
        shared += logs.sharing(packed[tags], tags, repeats=repeats)
    rows += [*shared, logs.grown(*shared, f"{large:,} tags", f"{small:,} tags")]
    say("importing")
    rows += processes.importing(repeats=repeats)
    say("loading")
    project = make_dvc_project(folder / "project", megabytes)
    rows += processes.loading(project, megabytes, repeats=max(5, repeats // 2))
    say("asking GTO and DVC")
    rows += logs.others(packed[asked], asked, repeats=2)
    return rows


def meet(folder: Path, writers: Sequence[int], *, calls: int) -> list[Contest]:
    """Every contest of many writers."""
    found = []
    for contest in contests(folder, writers, calls=calls):
        say(f"writing, {contest.writers} at once, with {contest.tool}: done")
        found.append(contest)
    return found


def keep(folder: Path, *, quick: bool) -> Findings:
    """What the log costs in each backend."""
    from tests.bench import backends  # imports MLflow, which would weigh on what was measured before

    sizes = (1_000, 10_000) if quick else (1_000, 10_000, 100_000, 1_000_000)
    return backends.measure(folder, sizes, repeats=7 if quick else 15, say=say)


def machine() -> str:
    """What the numbers depend on."""
    tools = ", ".join(
        f"{name} {version(name)}"
        for name in (
            "gto",
            "dvc",
            "mlflow-skinny",
            "sqlalchemy",
            "psycopg",
            "pydantic",
            "scikit-learn",
            "joblib",
        )
    )
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{git(Path(), '--version').decode().strip().replace('version ', '')}; {tools}."
    )


def say(what: str) -> None:
    """Tell someone who waits."""
    print(f"{time.strftime('%H:%M:%S')} {what} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
