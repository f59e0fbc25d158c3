"""The command: measure, print the table, and fail where a budget is broken."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

from tests.bench import loading, sites
from tests.bench.contention import HEAD as CONTESTS
from tests.bench.contention import OWN_VERSIONS, contests, reasons
from tests.bench.measure import Row, table
from tests.bench.registries import git, isolate, make_registry

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

`--quick` takes smaller registries and models and fewer repeats, and fails only where twice a budget is needed; `--only
loading` measures one part (`calls`, `lineage`, `writers`, `backends`, `loading`, `sites` or `searching`).

## Measured

{machine}

{table}
## Loading a model

scikit-learn's `KNeighborsClassifier`, which is little more than the array of the points that it was fitted to: so the
loader is about as fast as the disk, and what is done besides shows. It is a joblib file in the cache of a DVC project on
this machine. All files are in the memory of the operating system already, on all sides: these are the costs of the
work, not of the disk.

* The budgets hold `load_model` to a script that reads the file where it lies in DVC's cache, compares its sha256 and
  gives it to joblib; and, where the bytes are not here and the DVC remote is a folder on the same disk, to one that
  copies it first. "Verified by an earlier process" means that this user has loaded it before, so that nothing is hashed
  while the file looks the same; `verify="always"` hashes it nevertheless. `load_model` reads the file with an unpickler
  of its own, which stops at the first name that nobody vouches for. Up to 100 MB, a whole process is held to the script
  and what it does once: to import this library with GitPython and pydantic, and to open the registry.
* `dvc.api.read` brings the bytes, joblib loads them; `dvc artifacts get` is the command, and joblib loads the file that
  it writes. Neither compares any digest.
* MLflow is `mlflow.sklearn.load_model("models:/…@current")` with its registry in SQLite and its artifacts in a folder on
  this disk, which it reads where they lie. The model is a pickle there, the fastest of its formats: it has no
  joblib, and its own choice, skops, is slower. It compares no digest.

"The whole process" starts with the interpreter and ends with it. "After another model" is the first call for this model
in a process that has loaded another one, so everything is imported; "again" is the median of more calls there, at least
three. `load_model` then returns the object that it has, as long as nothing changed; it is given the folder of the
registry, or an open one (`registry=registry`).

{loads}

The most memory that such a process had at any moment, beside one that runs joblib and nothing else: the whole process,
with its libraries. What `dvc artifacts get` needs is in a process of its own, which is not here.

{peaks}
## Where models came from

A pipeline of 30 steps by `foreach` and `matrix`, as DVC writes it down, asked about at one commit. "Nothing remembered"
means a user who never asked before and a registry that was just opened, in a process that has imported what it uses. The
bare reading is one `git cat-file --batch` for the same files, parsed by PyYAML's `CSafeLoader` or hashed, and nothing
made of it. A lineage may need less than that: no git has to start for a few small objects, which are read from Git's own
files, and what DVC writes is parsed by a reader for no more than its form of YAML. DVC has no question that starts at a model: it opens the repository at that commit and tells its graph of
steps; its parameters and metrics are two more questions. Neither compares what was recorded with the rest of the commit,
which a lineage does.

`impact` looks through the lineages of all versions: of one repository with a folder, a `dvc.lock` and versions for each
model, each version at a commit of its own. Ten models share a dataset, and it is asked for.

{lineages}
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

{sizes}
## Searching

Versions in one repository, fifty of each model, each registered at a commit of its own with a `metrics.json` and a
`dvc.lock` of its own: about one in five has `metrics.auc > 0.9`, and the best ten are asked for. MLflow has as many
logged models in SQLite, each with two metrics, and as many model versions, each with a tag.

* `search_logged_models` filters, sorts and cuts in SQL; it is the only search of MLflow's by metrics, and knows of no
  stage and no alias. `search_model_versions` knows of no metrics.
* "The first time", nothing of any commit was read before on this machine: each content is read once. Afterwards its
  metrics are remembered on disk. An open `Registry` keeps the logs, too, while none moves.
* A log in a database is asked which models' records have what is looked for, by their bytes; those logs are read and
  judged. Metrics that DVC recorded are in Git, and no database knows them.

{searches}
## Sites

`export_site` of the same kind of repository, ten versions of each model and one `dvc.yaml` for all; each is done once,
by a `Registry` just opened. The first time nothing of the repository was read before on this machine. There is no peer:
MLflow's pages need a server.

{sites}
### Sizes of sites

Every page opens by itself from a disk, and has its style and its script within it.

{site_sizes}"""


class Held(Protocol):
    """A row that has a budget, or may have one."""

    @property
    def what(self) -> str:
        """What was measured."""

    @property
    def excess(self) -> float:
        """How much of its budget it needs: 1 is all of it."""


class Part(NamedTuple):
    """What one part of the page shows."""

    rows: Sequence[Held]
    tables: dict[str, str]
    """By their names in the page."""
    words: Mapping[str, object] = MappingProxyType({})
    """What else stands there."""
    broken: Sequence[str] = ()
    """Promises that no row has, and that were not kept."""


def main() -> int:
    """Measure everything; 1 if a budget is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller, fewer; only twice a budget fails")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part (may be repeated)")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the page with the tables")
    arguments = parser.parse_args()
    if arguments.only and arguments.write:
        parser.error("the page has all parts: --write goes without --only")
    tables, words, broken = {}, {}, []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        isolate(Path(folder))
        for name, measure in PARTS.items():
            if name in (arguments.only or PARTS):
                part = measure(Path(folder, name), quick=arguments.quick)
                tables |= part.tables
                words |= part.words
                allowed = 2 if arguments.quick else 1
                broken += [row.what for row in part.rows if row.excess > allowed] + [*part.broken]
    facts = machine() + (" Measured with `--quick`." if arguments.quick else "")
    if arguments.write:
        page = PAGE.format(machine=facts, **tables, **words).rstrip() + "\n"
        arguments.write.write_text(page, encoding="utf-8")
    print(facts, *tables.values(), sep="\n\n")
    for what in broken:
        print(f"broken: {what}", file=sys.stderr)
    return 1 if broken else 0


def measure_calls(folder: Path, *, quick: bool) -> Part:
    """What calls cost in one repository."""
    from tests.bench import logs, processes  # these import DVC and GTO, which read the environment

    small, large = 1_000, 10_000 if quick else 100_000
    loose = 1_000 if quick else 10_000
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
    say("asking GTO and DVC")
    rows += logs.others(packed[asked], asked, repeats=2)
    return Part(rows, {"table": table(rows)})


def measure_writers(folder: Path, *, quick: bool) -> Part:
    """Every contest of many writers."""
    each = 5 if quick else 25
    numbers = (1, 4) if quick else (1, 4, 16)
    met = []
    for contest in contests(folder, numbers, calls=each):
        say(f"writing, {contest.writers} at once, with {contest.tool}: done")
        met.append(contest)
    broken = [
        f"{row.tool}, {row.writers} writers: acknowledged and lost" for row in met if row.is_ours and row.lost
    ]
    tables = {"contests": table(met, CONTESTS), "reasons": reasons(met)}
    return Part((), tables, {"calls": each, "versions": OWN_VERSIONS * max(numbers)}, broken)


def measure_backends(folder: Path, *, quick: bool) -> Part:
    """What the log costs in each backend."""
    from tests.bench import backends  # imports MLflow, which would weigh on what was measured before

    sizes = (1_000, 10_000) if quick else (1_000, 10_000, 100_000, 1_000_000)
    kept = backends.measure(folder, sizes, repeats=7 if quick else 15, say=say)
    tables = {"facts": kept.facts, "backends": table(kept.rows), "sizes": table(kept.sizes, kept.head)}
    return Part(kept.rows, tables)


def measure_loading(folder: Path, *, quick: bool) -> Part:
    """What it takes to load a model."""
    sizes = (100,) if quick else (1, 100, 1_000)
    found = loading.measure(folder, sizes, repeats=1 if quick else 5, say=say)
    tables = {"loads": table(found.rows), "peaks": table(found.peaks, loading.PEAK_HEAD)}
    return Part([*found.rows, *found.peaks], tables)


def measure_lineage(folder: Path, *, quick: bool) -> Part:
    """What it takes to tell where models came from."""
    from tests.bench import lineages  # imports DVC

    models, repeats = (20, 3) if quick else (100, 9)
    rows = lineages.measure(folder, models=models, versions=10, repeats=repeats, say=say)
    return Part(rows, {"lineages": table(rows)})


def measure_searching(folder: Path, *, quick: bool) -> Part:
    """What it takes to find versions."""
    from tests.bench import searching  # imports MLflow, as above

    folder.mkdir(parents=True)
    say("searching")
    rows = searching.measure(folder, 1_000 if quick else 10_000, repeats=3 if quick else 7)
    return Part(rows, {"searches": table(rows)})


def measure_sites(folder: Path, *, quick: bool) -> Part:
    """What it takes to write a registry as pages."""
    folder.mkdir(parents=True)
    rows, sizes = sites.measure(folder, (10,) if quick else (10, 100, sites.LARGE), say=say)
    return Part(rows, {"sites": table(rows), "site_sizes": table(sizes, sites.SIZE_HEAD)})


PARTS: dict[str, Callable[..., Part]] = {
    "calls": measure_calls,
    "lineage": measure_lineage,
    "writers": measure_writers,
    "backends": measure_backends,
    "loading": measure_loading,
    "sites": measure_sites,
    "searching": measure_searching,
}
"""What ``--only`` takes, in the order in which it is measured: what imports MLflow comes after what that would weigh on."""


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
