"""Signing a tag with Git's configured key, and finding out which key signed one.

Git signs, on a repository of its own, because ``git tag -s`` makes a reference; ``ssh-keygen`` and ``gpg`` verify. Which
programs are run, and which commands give keys, is what the user's own configuration says, never a repository's.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from modelregistry.backends.base import Record
from modelregistry.errors import GitError
from modelregistry.git.call import GitCall, read_settings
from modelregistry.git.repo import GitRepo, file_mark
from modelregistry.trust.privatefile import PrivateFile

_SECONDS = 60.0
_BEGIN = re.compile(rb"^-----BEGIN ([A-Z]+) (?:SIGNATURE|MESSAGE)-----$", re.MULTILINE)
_SSH_KEY = re.compile(rb'^Good "git" signature with \S+ key (SHA256:[A-Za-z0-9+/]{43})$', re.MULTILINE)
_GPG_GOOD = re.compile(rb"^\[GNUPG:\] GOODSIG ", re.MULTILINE)
_GPG_KEY = re.compile(rb"^\[GNUPG:\] VALIDSIG .* ([0-9A-F]{40,64})$", re.MULTILINE)
_SETTINGS = r"^(user\.signingkey|gpg\..*)$"
_OWN_SCOPES = ("system", "global")
_RUNS = ("program", "defaultkeycommand")
# A key's passphrase is the agent's matter: nothing here prompts.
_QUIET = {"SSH_ASKPASS": "false", "SSH_ASKPASS_REQUIRE": "force"}


class Signing:
    """What Git is configured to sign with, in one repository."""

    def __init__(self, repo: GitRepo) -> None:
        self._repo = repo

    @cached_property
    def settings(self) -> Mapping[str, str]:
        """The key and its format, wherever they are configured; programs only where the user configured them."""
        return {
            key: value
            for scope, key, value in read_settings(self._repo.run, _SETTINGS)
            if scope in _OWN_SCOPES or not key.endswith(_RUNS)
        }

    def sign(self, text: bytes) -> bytes:
        """The tag object ``text`` with its signature.

        Raises:
            GitError: Git has no key, or can't use it.
        """
        header, _, message = text.partition(b"\n\n")
        lines = dict(line.split(b" ", 1) for line in header.split(b"\n"))
        name = lines[b"tag"].decode()
        person, _, moment = lines[b"tagger"].decode().rpartition("> ")
        who, _, email = person.rpartition(" <")
        objects = os.fspath(self._repo.common_dir / "objects").replace("\\", "\\\\").replace('"', '\\"')
        with tempfile.TemporaryDirectory(prefix="modelregistry-") as folder:
            scratch = Path(folder)
            for place in ("objects", "refs"):
                (scratch / place).mkdir()
            (scratch / "HEAD").write_text("ref: refs/heads/none\n")
            call = GitCall(scratch, self._repo.root or self._repo.git_dir, common_dir=scratch)
            environment = {
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": f'"{objects}"', "GIT_COMMITTER_NAME": who,
                "GIT_COMMITTER_EMAIL": email, "GIT_COMMITTER_DATE": f"@{moment}", **_QUIET,
            }  # fmt: skip
            try:
                call.run(
                    [
                        *(part for key, value in self.settings.items() for part in ("-c", f"{key}={value}")),
                        "tag", "--sign", "--cleanup=verbatim", "--file=-", "--", name, lines[b"object"].decode(),
                    ],
                    stdin=message, environment=environment,
                )  # fmt: skip
            except GitError as error:
                raise self._unsigned(error.stderr or str(error)) from error
            signed = call.run(["cat-file", "tag", f"refs/tags/{name}"], environment=environment)
        if signed == text:  # what git 2.39 leaves, and calls a success, where ssh-keygen fails
            raise self._unsigned("git left it unsigned")
        if not signed.startswith(text):
            raise GitError(f"git signed another text than {name!r} has")
        return signed

    def _unsigned(self, why: str) -> GitError:
        key = self.settings.get("user.signingkey")
        return GitError(
            f"nothing was written: the event can't be signed with {f'the key {key!r}' if key else 'no key'}: {why}; Git "
            "signs with user.signingKey (an SSH key where gpg.format is ssh), and a passphrase is its agent's matter: "
            "see git-config(1)"
        )


class Verifier:
    """Finds the keys that signed tags.

    Args:
        signing: Where the programs are configured.
        known: What was found before: an SSH signature once checked is good for ever, whatever became of its key.
    """

    def __init__(self, signing: Signing, known: PrivateFile) -> None:
        self._signing = signing
        self._known = known
        self._own_key: str | None = None
        self._ring = key_ring()

    @cached_property
    def _keys(self) -> dict[str, str]:
        lines = (line.split(" ") for line in self._known.lines())
        return {words[0]: words[1] for words in lines if len(words) == 2}

    def keys(self, signed: Sequence[Record]) -> dict[str, str]:
        """The key of each tag that has a good signature, by object id."""
        # Known by what was read: an object may lie under the id of another, and git does not look.
        if self._ring != (ring := key_ring()):
            self._ring = ring
            for name in [name for name, key in self._keys.items() if key.startswith("gpg:")]:
                del self._keys[name]
        names = [f"sha256:{hashlib.sha256(each.data).hexdigest()}" for each in signed]
        new = {name: each for name, each in zip(names, signed, strict=True) if name not in self._keys}
        if new:
            with ThreadPoolExecutor(max_workers=min(4, len(new))) as pool:
                found = pool.map(self.key, [each.data for each in new.values()])
                for name, key in zip(new, found, strict=True):
                    if key is not None:
                        self._keys[name] = key
                        if not key.startswith("gpg:"):  # that key ring may change its mind
                            self._known.add(f"{name} {key}")
        pairs = zip(names, signed, strict=True)
        return {each.oid: self._keys[name] for name, each in pairs if name in self._keys}

    def own_key(self, text: bytes) -> str | None:
        """The key that ``Signing`` signs with; ``text`` is signed to find out."""
        if self._own_key is None:
            self._own_key = self.key(self._signing.sign(text))
        return self._own_key

    def key(self, data: bytes) -> str | None:
        """The key that signed a tag object: ``SHA256:…`` or ``gpg:…``; None where there is no good signature."""
        begins = list(_BEGIN.finditer(data))
        if not begins:
            return None
        payload, signature = data[: begins[-1].start()], data[begins[-1].start() :]
        kind = begins[-1][1]
        with tempfile.TemporaryDirectory(prefix="modelregistry-") as folder:
            path = Path(folder, "signature")
            path.write_bytes(signature)
            if kind == b"SSH":
                program = self._signing.settings.get("gpg.ssh.program", "ssh-keygen")
                said = _say([program, "-Y", "check-novalidate", "-n", "git", "-s", os.fspath(path)], payload)
                match = _SSH_KEY.search(said)
                return match[1].decode() if match else None
            if kind == b"PGP":
                program = self._signing.settings.get("gpg.program", "gpg")
                command = [program, "--batch", "--no-tty", "--status-fd=1", "--verify", os.fspath(path), "-"]
                said = _say(command, payload)
                keys = _GPG_KEY.findall(said)
                # One signature: of several, gpg would call another one good than the one whose key it names first.
                return f"gpg:{keys[0].decode()}" if len(keys) == len(_GPG_GOOD.findall(said)) == 1 else None
        return None


def key_ring() -> Hashable:
    """What changes when GPG's key ring does: a key that was revoked there signs nothing any more."""
    home = Path(os.environ.get("GNUPGHOME") or os.path.expanduser("~/.gnupg"))
    return tuple(
        file_mark(home / name) for name in ("pubring.kbx", "pubring.gpg", "public-keys.d/pubring.db")
    )


def _say(command: Sequence[str], stdin: bytes) -> bytes:
    """What the program prints if it is content; nothing if it is not."""
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, check=False, timeout=_SECONDS,
            env=os.environ | {"LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitError(f"signatures can't be verified: {command[0]!r} does not run: {error}") from error
    return done.stdout if done.returncode == 0 else b""
