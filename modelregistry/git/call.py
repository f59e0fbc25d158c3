"""Calling git: an argument list, nothing a hostile repository could make run, and a time limit.

Git is called through ``git.cmd.Git.execute`` with an argument list and nothing else of GitPython: its option
block-lists have been bypassed again and again. Hooks, fsmonitor, pagers and helpers that a repository's own
configuration names are switched off; no transport may be used unless the call says which; nothing asks for a password.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import git.cmd
import git.exc

from modelregistry.errors import GitError, GitTimeoutError
from modelregistry.git.transfer import Listener
from modelregistry.progress import Report
from modelregistry.urlsecrets import without_secrets

_HARDENED = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.pager=cat",
    "core.alternateRefsCommand=",
    "gpg.program=gpg",
    "gpg.x509.program=gpgsm",
    "gpg.ssh.program=ssh-keygen",
    "gpg.ssh.defaultKeyCommand=",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "protocol.ext.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
    # Git flushes neither loose objects nor references by default; an acknowledged event must survive a power cut.
    "core.fsync=committed,loose-object,reference",
)
_OPTIONS = [part for setting in _HARDENED for part in ("-c", setting)]
_ENVIRONMENT = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
    "GIT_GLOB_PATHSPECS": "0",
    "GIT_ICASE_PATHSPECS": "0",
    "GIT_NOGLOB_PATHSPECS": "0",
    # None at all, but where a call says otherwise: git before 2.45 fetches what a clone left out when it is read, by the
    # transport that the repository names, and does not know the second of these.
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}
_SHOWN = 10_000
_NOT_SET = 1  # what git config exits with where nothing is configured
LOCAL_SECONDS = 60.0
NETWORK_SECONDS = 600.0


class GitCall:
    """Calls git on one repository; on none, in ``folder``, where ``git_dir`` is None."""

    def __init__(self, git_dir: Path | None, folder: Path, *, common_dir: Path | None = None) -> None:
        self._prefix = ["--git-dir", os.fspath(git_dir)] if git_dir else []
        self._git = git.cmd.Git(os.fspath(folder))
        # What git sets for its hooks would lead to another repository, and GitPython can't take it away.
        self._environment = dict(_ENVIRONMENT)
        if git_dir:
            common = common_dir or git_dir
            self._environment |= {
                "GIT_COMMON_DIR": os.fspath(common),
                "GIT_OBJECT_DIRECTORY": os.fspath(common / "objects"),
                "GIT_INDEX_FILE": os.fspath(git_dir / "index"),
                "GIT_WORK_TREE": os.fspath(folder),
            }

    def run(
        self,
        arguments: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float = LOCAL_SECONDS,
        environment: Mapping[str, str] | None = None,
        report: Report | None = None,
    ) -> bytes:
        """What git prints when called with ``arguments``.

        Args:
            arguments: What it is called with.
            stdin: What it reads.
            timeout: Seconds after which it is ended.
            environment: Variables of its own.
            report: Told of the objects that it receives, where it is asked for ``--progress``.

        Raises:
            GitError: Git exits with another status than 0.
            GitTimeoutError: It did not answer within ``timeout`` seconds.
        """
        process = self._start(arguments, environment)
        try:
            with _heard(process, report) as said:
                output, errors = process.communicate(stdin, timeout=timeout)
            errors = said() if report is not None else errors
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.communicate()
            raise _late(arguments, timeout) from error
        if process.returncode:
            raise _failure(arguments, errors, process.returncode, output)
        return output

    @contextmanager
    def conversation(
        self, arguments: Sequence[str], *, timeout: float = LOCAL_SECONDS
    ) -> Iterator[tuple[Callable[[bytes], None], IO[bytes]]]:
        """A running git: a function that sends to it, and what it prints.

        Raises:
            GitError: It exits with another status than 0, or stops in the middle.
            GitTimeoutError: The conversation took more than ``timeout`` seconds.
        """
        process = self._start(arguments)
        assert process.stdin and process.stdout and process.stderr
        stdin = process.stdin
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            process.kill()

        def send(data: bytes) -> None:
            stdin.write(data)
            stdin.flush()

        errors: list[bytes] = []
        complaints = process.stderr
        # Read all along, or git would wait for ever once a thousand broken references filled the pipe.
        listener = threading.Thread(target=lambda: errors.append(complaints.read()), daemon=True)
        timer = threading.Timer(timeout, expire)
        listener.start()
        timer.start()
        failure: Exception | None = None
        try:
            yield send, process.stdout
            stdin.close()
            status = process.wait()
        except (OSError, ValueError, IndexError) as error:  # it stopped talking, or not to the point
            failure = error
            process.kill()
            status = process.wait()
        finally:
            timer.cancel()
            if process.poll() is None:
                process.kill()
                process.wait()
            listener.join()
            for stream in (process.stdin, process.stdout, process.stderr):
                with suppress(BrokenPipeError):  # what git did not live to hear
                    stream.close()
        if expired.is_set():
            raise _late(arguments, timeout) from failure
        if status or failure:
            raise _failure(arguments, b"".join(errors), status) from failure

    def _start(
        self, arguments: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        try:
            process: Any = self._git.execute(
                ["git", *_OPTIONS, *self._prefix, *arguments],
                as_process=True, istream=subprocess.PIPE, env=self._environment | dict(environment or {}),
            )  # fmt: skip
        except git.exc.GitCommandNotFound as error:
            raise GitError(
                "git is not installed, or not on the PATH", arguments=_scrubbed(arguments)
            ) from error
        # GitPython's wrapper ends the process when it is dropped; we always wait for it ourselves.
        popen: subprocess.Popen[bytes] = process.proc
        process.proc = None
        return popen


@contextmanager
def _heard(process: subprocess.Popen[bytes], report: Report | None) -> Iterator[Callable[[], bytes]]:
    """While git runs, what it says of its progress is told; what else it said, once it has ended."""
    stream = process.stderr
    if report is None or stream is None:
        yield lambda: b""
        return
    process.stderr = None  # which communicate() would read
    listener = Listener(report)
    failures: list[BaseException] = []

    def listen() -> None:
        while piece := os.read(stream.fileno(), 1 << 16):
            if not failures:
                try:
                    listener.hear(piece)
                except BaseException as error:  # noqa: BLE001 (of who is told: git must be read to its end all the same)
                    failures.append(error)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield lambda: listener.said
    finally:
        if process.poll() is None:
            process.kill()
        thread.join()
        stream.close()
    if failures:
        raise failures[0]


def read_settings(run: Callable[..., bytes], pattern: str) -> list[tuple[str, str, str]]:
    """Scope, key and value of each of git's settings whose key matches, in git's order.

    Args:
        run: Calls git with arguments and returns what it prints.
        pattern: A regular expression, of the kind that git knows; keys are in lower case but for a part in the middle.

    Raises:
        GitError: They can't be read, which must not pass for having none.
    """
    try:
        output = run("config", "--null", "--show-scope", "--get-regexp", pattern)
    except GitError as error:
        if error.status != _NOT_SET:
            raise
        return []
    fields = output.decode("utf-8", "surrogateescape").split("\0")[:-1]
    pairs = zip(fields[::2], fields[1::2], strict=False)
    return [(scope, *pair.partition("\n")[::2]) for scope, pair in pairs]


def _late(arguments: Sequence[str], timeout: float) -> GitTimeoutError:
    return GitTimeoutError(
        f"git {_verb(arguments)} did not answer within {timeout:g} seconds",
        arguments=_scrubbed(arguments),
    )


def _scrubbed(arguments: Sequence[str]) -> list[str]:
    return [without_secrets(argument) for argument in arguments]


def lock_hint(said: str) -> str:
    """What to do about a file of another git that is in the way, if that is what git says; else nothing."""
    if ".lock': File exists" in said or "packed-refs.new: File exists" in said:
        return "another git is at work there, or one died: if none is, delete that file and try again"
    return ""


def _failure(arguments: Sequence[str], errors: bytes, status: int, output: bytes = b"") -> GitError:
    text = without_secrets(errors.decode("utf-8", "replace").strip())
    lines = text.splitlines() or [f"exit status {status}"]
    said = next((line for line in lines if line.startswith(("fatal: ", "error: "))), lines[-1])
    if hint := lock_hint(said):
        said += f"; {hint}"
    return GitError(
        f"git {_verb(arguments)} failed: {said}",
        arguments=_scrubbed(arguments),
        stdout=without_secrets(output[:_SHOWN].decode("utf-8", "replace")), stderr=text, status=status,
    )  # fmt: skip


def _verb(arguments: Sequence[str]) -> str:
    pairs = zip(("", *arguments), arguments, strict=False)
    return next((name for before, name in pairs if before != "-c" and not name.startswith("-")), "")
