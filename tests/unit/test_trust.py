"""What the one who loads allows, and what this machine remembers to have made."""

import multiprocessing
import os
import warnings
from pathlib import Path

import pytest

from modelregistry.errors import InvalidInputError, RegistryWarning
from modelregistry.loaders.base import Permit
from modelregistry.trust.pins import PinnedDigest, PinnedDigests
from modelregistry.trust.trust import Decision, Ledger, Trust, Vouching

A, B, C, D = (f"sha256:{letter * 64}" for letter in "abcd")

posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX's")


def test_no_trust_permits_nothing() -> None:
    assert Trust.parse(None).permit(A) == Permit()
    assert Trust.parse([]).permit(A) == Permit()


def test_code_permits_code_for_all_bytes() -> None:
    assert Trust.parse("code").permit(A) == Permit(code=True)


@pytest.mark.parametrize("container", [list, tuple, set, frozenset])
def test_names_hold_for_all_bytes_and_a_digest_for_its_own(container: type) -> None:
    trust = Trust.parse(container(["mypkg.Clipper", A, "mypkg.steps.Outer.Inner"]))
    names = frozenset({"mypkg.Clipper", "mypkg.steps.Outer.Inner"})
    assert trust.permit(A) == Permit(names, code=True)
    assert trust.permit(B) == Permit(names, code=False)


@pytest.mark.parametrize("text", ["mypkg.Clipper", A, "", "CODE", "all", "named", "code "])
def test_any_other_bare_string_is_refused_with_the_list_to_pass(text: str) -> None:
    with pytest.raises(InvalidInputError, match="pass a list") as caught:
        Trust.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("value", [True, 1, b"code", object()])
def test_what_is_no_list_is_refused(value: object) -> None:
    with pytest.raises(InvalidInputError):
        Trust.parse(value)  # type: ignore[arg-type]


NEITHER_NAME_NOR_DIGEST = (
    *("code", "Clipper", "mypkg.*", "mypkg.", ".Clipper", "", "my pkg.Clipper", "mypkg:Clipper", "mypkg.a\n"),
    *("sha256:abc", A.upper(), "md5:d41d8cd98f00b204e9800998ecf8427e", f"{A}\n", A[7:]),
    *(b"mypkg.Clipper", 1, None),
)


@pytest.mark.parametrize("item", NEITHER_NAME_NOR_DIGEST)
def test_an_item_that_is_neither_name_nor_digest_is_refused(item: object) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Trust.parse(["mypkg.Clipper", item])  # type: ignore[list-item]
    assert repr(item) in str(caught.value)


# ------------------------------------------------------------------ the ledger


def test_the_ledger_remembers_what_was_made_across_instances(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "made-here"
    assert A not in Ledger(path)
    Ledger(path).add(A)
    Ledger(path).add(B)
    assert A in Ledger(path)
    assert B in Ledger(path)
    assert C not in Ledger(path)
    assert path.read_text() == f"{A}\n{B}\n"


@posix
def test_only_the_user_may_read_or_write_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        Ledger(tmp_path / "home" / "made-here").add(A)
    finally:
        os.umask(old)
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "home" / "made-here").stat().st_mode & 0o777 == 0o600


def test_it_lies_in_the_home_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELREGISTRY_HOME", str(tmp_path))
    assert Ledger().path == tmp_path / "made-here"
    monkeypatch.delenv("MODELREGISTRY_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert Ledger().path.name == "made-here"
    assert "modelregistry" in Ledger().path.parts


@pytest.mark.parametrize("line", [A[:40], A, "\n\n" + A, "junk\x00\xff"])
def test_a_torn_last_line_is_ignored_and_costs_the_next_one_nothing(line: str, tmp_path: Path) -> None:
    path = tmp_path / "made-here"
    Ledger(path).add(B)
    with path.open("a", encoding="latin-1") as file:
        file.write(line)
    assert A not in Ledger(path)
    assert B in Ledger(path)
    Ledger(path).add(C)
    assert C in Ledger(path)


@pytest.mark.parametrize("line", [f" {A}\n", f"{A} \n", f"x{A}\n", A.upper() + "\n", f"{A}{B}\n"])
def test_a_line_that_only_holds_a_digest_among_other_things_is_none(line: str, tmp_path: Path) -> None:
    path = tmp_path / "made-here"
    Ledger(path).add(B)
    path.write_text(line)
    assert A not in Ledger(path)


@pytest.mark.parametrize("digest", ["md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:x", A + "\n" + B, ""])
def test_only_a_sha256_digest_can_be_added(digest: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError):
        Ledger(tmp_path / "made-here").add(digest)
    assert digest not in Ledger(tmp_path / "made-here")
    assert not (tmp_path / "made-here").exists()


def test_what_is_no_digest_is_not_in_it(tmp_path: Path) -> None:
    assert 7 not in Ledger(tmp_path / "made-here")


def add_many(path: Path, start: int) -> None:
    for number in range(start, start + 200):
        Ledger(path).add(f"sha256:{number:064x}")


def test_eight_processes_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / "made-here"
    context = multiprocessing.get_context("spawn")
    with context.Pool(8) as pool:
        pool.starmap(add_many, [(path, worker * 1000) for worker in range(8)])
    expected = {f"sha256:{worker * 1000 + number:064x}" for worker in range(8) for number in range(200)}
    lines = path.read_text().split("\n")  # some empty: one who looks while another writes ends its line too
    assert sorted(line for line in lines if line) == sorted(expected)


def not_believed(path: Path, reason: str) -> None:
    content = path.read_bytes() if path.is_file() else None
    with pytest.warns(RegistryWarning, match=reason):
        assert A not in Ledger(path)
    with pytest.warns(RegistryWarning, match=reason):
        Ledger(path).add(B)
    assert (path.read_bytes() if path.is_file() else None) == content


@posix
def test_a_symbolic_link_is_not_believed(tmp_path: Path) -> None:
    Ledger(tmp_path / "real").add(A)
    (tmp_path / "made-here").symlink_to(tmp_path / "real")
    not_believed(tmp_path / "made-here", "symbolic link")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    not_believed(tmp_path / "broken", "symbolic link")
    assert not (tmp_path / "nowhere").exists()


@posix
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_believed(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "made-here"
    Ledger(path).add(A)
    path.chmod(mode)
    not_believed(path, f"writable by others .mode 0{mode:o}")


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "made-here"
    Ledger(path).add(A)
    os.chown(path, 12345, -1)
    not_believed(path, "owned by user 12345")


@posix
def test_a_pipe_does_not_hang_it_and_a_folder_is_not_believed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    not_believed(tmp_path / "pipe", "not a regular file")
    (tmp_path / "folder").mkdir(mode=0o700)
    with pytest.warns(RegistryWarning):
        assert A not in Ledger(tmp_path / "folder")


def test_a_home_that_can_not_be_made_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.warns(RegistryWarning, match="can't remember"):
        Ledger(tmp_path / "file" / "made-here").add(A)


def test_a_missing_ledger_is_simply_empty(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert A not in Ledger(tmp_path / "nowhere" / "made-here")


# ------------------------------------------------------------------ who vouches


def test_nobody_vouches_for_bytes_unless_somebody_says_so() -> None:
    decision = Vouching().decide(A)
    assert decision.permit == Permit()
    assert decision.reason == "was not made on this machine"


NAMES = frozenset({"mypkg.Clipper"})


def test_each_on_the_readers_side_may_vouch_and_is_named() -> None:
    argument = Trust.parse(["mypkg.Clipper", A])
    assert Vouching(argument).decide(A) == Decision(Permit(NAMES, code=True), "trusted by the caller")
    Ledger().add(B)
    assert Vouching(argument).decide(B) == Decision(Permit(NAMES, code=True), "made on this machine")
    PinnedDigests().add(PinnedDigest(C, True))
    assert Vouching(argument).decide(C) == Decision(Permit(NAMES, code=True), "trusted by this user")
    signed = Vouching(argument, D, lambda: "ann@example.com").decide(D)
    assert signed.permit == Permit(NAMES, code=True)
    assert "ann@example.com" in signed.reason


def test_a_signature_vouches_for_the_digest_that_it_is_under_and_no_other() -> None:
    assert not Vouching(Trust(), A, lambda: "ann@example.com").decide(B).permit.code
    assert not Vouching(Trust(), None, lambda: "ann@example.com").decide(B).permit.code
    assert not Vouching(Trust(), A, lambda: None).decide(A).permit.code


def test_signatures_are_looked_at_only_where_nothing_else_decides() -> None:
    def asked() -> str:
        raise AssertionError("asked")

    Ledger().add(A)
    PinnedDigests().add(PinnedDigest(B, True))
    PinnedDigests().add(PinnedDigest(C, False))
    for digest, trust in [(A, None), (B, None), (C, None), (D, "code")]:
        Vouching(Trust.parse(trust), digest, asked).decide(digest)  # type: ignore[arg-type]
    with pytest.raises(AssertionError):
        Vouching(Trust(), D, asked).decide(D)


def test_distrust_is_stronger_than_all_but_the_argument() -> None:
    Ledger().add(A)
    PinnedDigests().add(PinnedDigest(A, True))
    PinnedDigests().add(PinnedDigest(A, False))
    decision = Vouching(Trust.parse(["mypkg.Clipper"]), A, lambda: "ann@example.com").decide(A)
    assert decision == Decision(Permit(NAMES), "is distrusted by this user")
    assert Vouching(Trust.parse("code"), A).decide(A).permit.code
    assert Vouching(Trust.parse([A]), A).decide(A).permit.code
