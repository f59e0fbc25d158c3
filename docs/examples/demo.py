"""A registry from nothing: train two models with DVC, register, promote, load, and see what is written where.

    python docs/examples/demo.py [--folder FOLDER]

Nothing is played back: every command and every Python line is run as it is shown, in a fresh folder that stays.
"""

from __future__ import annotations

import argparse
import ast
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

EXAMPLES = Path(__file__).parent
BIN = Path(sys.executable).parent


def say(title: str, text: str = "") -> None:
    """Open an act."""
    print(f"\n\n{title}\n{'=' * len(title)}")
    if text:
        print(textwrap.fill(text, 100))
    print()


def run(
    *command: str, cwd: Path, environment: dict[str, str] | None = None, show_output: bool = False
) -> None:
    """Run a command and show it, with the time it took; when it fails, show what it said and end."""
    shown = shlex.join(command)
    print(f"$ {shown:<68}", end="", flush=True)
    match command[0]:
        case "dvc":  # the one that is installed beside this Python
            command = (sys.executable, "-m", *command)
        case "python":
            command = (sys.executable, *command[1:])
    start = time.perf_counter()
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | (environment or {}),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    print(f" {time.perf_counter() - start:5.1f} s")
    if done.returncode:
        print(done.stdout)
        sys.exit(f"'{shown}' failed in {cwd} (exit code {done.returncode})")
    if show_output:
        print(done.stdout.rstrip())


def python(source: str, names: dict[str, object]) -> None:
    """Run Python lines as a prompt does: each is shown, then run, then what it gave is shown."""
    lines = textwrap.dedent(source).strip().splitlines()
    for statement in ast.parse("\n".join(lines)).body:
        for number in range(statement.lineno, (statement.end_lineno or statement.lineno) + 1):
            print("..." if number > statement.lineno else ">>>", lines[number - 1])
        exec(compile(ast.Interactive([statement]), "<demo>", "single"), names)


def script(name: str, folder: Path) -> None:
    """Copy a script into the folder and show it."""
    folder.mkdir(exist_ok=True)
    text = Path(shutil.copy(EXAMPLES / name, folder)).read_text()
    print(f"{folder.name}/{name}:\n\n{textwrap.indent(text, '    ')}")


def choose_folder() -> Path:
    """The folder to play in: named by --folder, or a temporary one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, help="a new or empty folder; left out: a temporary one")
    chosen: Path | None = parser.parse_args().folder
    if chosen is None:
        return Path(tempfile.mkdtemp(prefix="modelregistry-demo-"))
    if chosen.exists() and (not chosen.is_dir() or any(chosen.iterdir())):
        parser.error(f"{chosen} is not an empty folder")
    chosen.mkdir(parents=True, exist_ok=True)
    return chosen.resolve()


def main() -> None:
    start = time.perf_counter()
    folder = choose_folder()
    project, service, colleague = folder / "project", folder / "service", folder / "colleague"
    ours = {  # so that the demonstration leaves nothing outside its folder
        "MODELREGISTRY_CACHE": str(folder / "cache"),
        "MODELREGISTRY_HOME": str(folder / "home"),
        "DVC_SITE_CACHE_DIR": str(folder / "cache" / "dvc"),
        "DVC_GLOBAL_CONFIG_DIR": str(folder / "home" / "dvc"),
    }
    for variable, value in ours.items():
        ours[variable] = os.environ.setdefault(variable, value)
    os.environ["DVC_NO_ANALYTICS"] = "1"
    os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"  # the pipeline says `python`
    shutil.copytree(EXAMPLES / "project", project)
    os.chdir(project)
    print(f"All of this happens in {folder}; the caches are there too, unless the environment names others.")

    say("1. A Git and DVC project", "Three steps, prepare > train > evaluate, and in dvc.yaml under artifacts: "
        "one line that says that models/tumour.joblib is the model 'tumour'.")  # fmt: skip
    run("git", "init", "--quiet", "--initial-branch=main", cwd=project)
    for setting in ("user.name=Demo", "user.email=demo@example.com", "commit.gpgSign=false"):
        run("git", "config", *setting.split("="), cwd=project)
    run("dvc", "init", "--quiet", cwd=project)
    run("dvc", "config", "core.check_update", "false", cwd=project)
    run("dvc", "remote", "add", "--quiet", "--default", "storage", "../storage", cwd=project)

    def train(message: str) -> None:
        run("dvc", "repro", "--quiet", cwd=project)
        run("git", "add", "--all", cwd=project)
        run("git", "commit", "--quiet", "--message", message, cwd=project)
        run("dvc", "push", "--quiet", cwd=project)
        run("dvc", "metrics", "show", cwd=project, show_output=True)

    train("Train a baseline")

    say("2. Its first version")
    names: dict[str, object] = {}
    python("""
        import modelregistry as mr
        registry = mr.Registry(".")
        registry.register("tumour", message="baseline")
        registry.promote("tumour", "v0.1.0", "current", message="the first one")
    """, names)  # fmt: skip

    say("3. A better model", "One parameter changes: train.C, from 0.001 to 1.")
    parameters = project / "params.yaml"
    parameters.write_text(parameters.read_text().replace("C: 0.001", "C: 1"))
    train("Regularise less")

    say("4. Through shadow into production", "expected= says who the writer believes is in production: "
        "had anyone been faster, the promotion would be refused.")  # fmt: skip
    python("""
        registry.register("tumour", bump="minor", message="regularised less")
        registry.promote("tumour", "v0.2.0", "shadow", message="watch it for a week")
        registry.promote("tumour", "v0.2.0", "current", expected="v0.1.0", message="fewer mistakes")
    """, names)  # fmt: skip

    say("5. A service loads it", "Another process, in another folder. The file is a pickle, which may run code when it "
        "is loaded; this one needs no trust=, because this machine's own pipeline made it.")  # fmt: skip
    script("predict.py", service)
    run("python", "predict.py", cwd=service, show_output=True)

    say("6. A colleague is asked first", "A clone, as on another machine: nothing there was made there, so the pickle is "
        "not loaded until the colleague says so. A skops file of plain scikit-learn would need no such word.")  # fmt: skip
    run("git", "clone", "--quiet", "../project", "../colleague", cwd=project)
    script("load.py", colleague)
    elsewhere = {"MODELREGISTRY_CACHE": str(folder / "cache-of-colleague"),
                 "MODELREGISTRY_HOME": str(folder / "home-of-colleague")}  # fmt: skip
    run("python", "load.py", cwd=colleague, environment=elsewhere, show_output=True)
    print("\nOn the machine that made it:\n")
    python("""
        digest = registry.get("tumour#current").digest
        print(digest)
    """, names)  # fmt: skip
    print("\nAnd where that was read:\n")
    run("python", "load.py", str(names["digest"]), cwd=colleague, environment=elsewhere, show_output=True)

    say("7. What happened")
    python("""
        print(registry.versions("tumour"))
        print(registry.history("tumour"))
        print(registry.check())
    """, names)  # fmt: skip

    say("8. Where it came from", "Read from what DVC recorded at the commit of the version; nothing is run, and DVC is "
        "not asked. In a notebook it is a picture.")  # fmt: skip
    python("""
        lineage = registry.get("tumour#current").lineage
        print(lineage)
        print(registry.get("tumour", version="v0.1.0").lineage.diff(lineage))
        print(registry.impact("data/train.csv"))
    """, names)  # fmt: skip

    say("9. Where it is")
    run("git", "tag", "--list", cwd=project, show_output=True)
    print(f"""
the project, and in its tags the registry   {project}
the bytes, in DVC's cache                   {project / ".dvc" / "cache"}
the bytes, in DVC's remote                  {folder / "storage"}
the bytes that were verified, by name       {ours["MODELREGISTRY_CACHE"]}
what counts as made on this machine         {Path(ours["MODELREGISTRY_HOME"]) / "made-here"}""")

    say("10. What to try next")
    print(f"""cd "{project}"
export PATH="{BIN}:$PATH"
export MODELREGISTRY_CACHE="{ours["MODELREGISTRY_CACHE"]}"
export MODELREGISTRY_HOME="{ours["MODELREGISTRY_HOME"]}"
gto show                                   # GTO reads the same registry
git show 'tumour#current#2'                # one event: words for people, facts for programs
python -c "import modelregistry as mr; print(mr.Registry().rollback('tumour', 'current', message='just in case'))"
gto show

Done in {time.perf_counter() - start:.0f} seconds. The folder stays until you delete it: {folder}""")


if __name__ == "__main__":
    main()
