"""A site is written where nothing but a site is, and only what changed."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelregistry.errors import ExportError, InvalidInputError
from modelregistry.site.writer import MANIFEST, Site, SiteWriter, file_name


def write(folder: Path, **pages: str) -> Site:
    """A site of these pages; two underscores stand for a slash."""
    texts = {f"{name.replace('__', '/')}.html": text for name, text in pages.items()}
    with SiteWriter(folder) as writer:
        writer.begin(texts)
        for name, text in texts.items():
            writer.write(name, text)
        return writer.finish()


def files(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


def test_the_folder_is_made_and_has_the_pages_and_nothing_half_written(tmp_path: Path) -> None:
    site = write(tmp_path / "a" / "public", index="one", models__churn="two")
    assert files(site.path) == {"index.html": "one", "models/churn.html": "two"}
    assert site.written == site.files == ("index.html", "models/churn.html")


def test_a_page_that_can_not_be_written_leaves_nothing_half_written(tmp_path: Path) -> None:
    writer = SiteWriter(tmp_path)
    writer.begin(["index.html"])
    (tmp_path / "index.html").mkdir()
    with pytest.raises(ExportError, match=r"index\.html.* can't be written"):
        writer.write("index.html", "one")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.html", MANIFEST]


def test_what_is_unchanged_is_not_written_again(tmp_path: Path) -> None:
    write(tmp_path, index="one", other="two")
    before = {path: path.stat().st_ino for path in tmp_path.iterdir()}
    site = write(tmp_path, index="one", other="two")
    assert (site.written, site.removed) == ((), ())
    assert {path: path.stat().st_ino for path in tmp_path.iterdir()} == before
    assert write(tmp_path, index="one", other="three").written == ("other.html",)


def test_what_nothing_stands_for_any_more_is_removed_with_its_folder(tmp_path: Path) -> None:
    write(tmp_path, index="one", models__old__index="two")
    assert write(tmp_path, index="one").removed == ("models/old/index.html",)
    assert files(tmp_path) == {"index.html": "one"}
    assert not (tmp_path / "models").exists()


def test_what_somebody_else_put_there_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, index="one", models__old__index="two")
    (tmp_path / "models" / "old" / "notes.txt").write_text("mine")
    write(tmp_path, index="one")
    assert files(tmp_path) == {"index.html": "one", "models/old/notes.txt": "mine"}


def test_a_page_that_somebody_edited_is_not_removed(tmp_path: Path) -> None:
    write(tmp_path, index="one", old="two")
    (tmp_path / "old.html").write_text("edited")
    assert write(tmp_path, index="one").removed == ()
    assert (tmp_path / "old.html").read_text() == "edited"


def test_a_page_that_was_edited_is_written_again(tmp_path: Path) -> None:
    write(tmp_path, index="one")
    (tmp_path / "index.html").write_text("edited")
    assert write(tmp_path, index="one").written == ("index.html",)


def test_a_folder_that_is_no_site_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InvalidInputError, match=r"not empty.*thesis\.txt.*choose an empty folder"):
        write(tmp_path, index="one")
    assert files(tmp_path) == {"thesis.txt": "years of work"}


def test_a_file_with_the_name_of_a_new_page_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    write(tmp_path, index="one")
    (tmp_path / "new.html").write_text("mine")
    with pytest.raises(InvalidInputError, match=r"new\.html.*move it away"):
        write(tmp_path, index="changed", new="two")
    assert files(tmp_path) == {"index.html": "one", "new.html": "mine"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"files": {"../../x": ""}}',
        '{"files": {"/etc/x": ""}}',
        '{"files": {"a": 1}}',
    ],
)
def test_a_list_of_files_that_we_would_not_write_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(InvalidInputError, match="no list of the files of a site"):
        SiteWriter(tmp_path)


def test_a_link_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write(tmp_path / "site", index="one")
    (tmp_path / "site" / "models").symlink_to(elsewhere)
    with pytest.raises(InvalidInputError, match="is a link"):
        write(tmp_path / "site", index="one", models__churn="two")
    assert not [*elsewhere.iterdir()]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "public").write_text("")
    with pytest.raises(InvalidInputError, match="is a file"):
        SiteWriter(tmp_path / "public")
    with pytest.raises(ExportError, match="can't be"):
        write(tmp_path / "public" / "below", index="one")
    with pytest.raises(InvalidInputError, match="neither a path nor a URL"):
        SiteWriter("")


def test_an_export_that_was_killed_is_gone_on_with(tmp_path: Path) -> None:
    writer = SiteWriter(tmp_path)
    writer.begin(["index.html", "old.html"])
    writer.write("old.html", "half of a site")
    site = write(tmp_path, index="one")
    assert (site.removed, files(tmp_path)) == (("old.html",), {"index.html": "one"})


def test_what_was_half_written_by_one_that_was_killed_is_removed(tmp_path: Path) -> None:
    (tmp_path / "public").mkdir()
    left = [tmp_path / "public" / f".{'0a' * 6}.partial"]
    left[0].write_text("half of a lis")
    write(tmp_path / "public", index="one", models__churn__index="two")
    left += [tmp_path / "public" / folder / f".{'f' * 12}.partial" for folder in ("models", "models/churn")]
    for each in left:
        each.write_text("half of a page")
    (tmp_path / "public" / ".mine.partial").write_text("mine")
    write(tmp_path / "public", index="one")
    assert files(tmp_path / "public") == {"index.html": "one", ".mine.partial": "mine"}


def test_of_two_at_once_one_waits_for_the_other_and_knows_what_that_wrote(tmp_path: Path) -> None:
    write(tmp_path, index="one")
    with ThreadPoolExecutor() as pool:
        with SiteWriter(tmp_path) as first:
            second = pool.submit(write, tmp_path, index="two", new="two")
            first.begin(["index.html", "new.html", "other.html"])
            for name in ("index.html", "new.html", "other.html"):
                first.write(name, "one")
            assert not second.done()
            first.finish()
        assert second.result().removed == ("other.html",)
    assert files(tmp_path) == {"index.html": "two", "new.html": "two"}


@given(names=st.lists(st.text(max_size=250), unique=True, min_size=1, max_size=5))
def test_every_name_has_a_file_name_of_its_own_that_every_system_takes(names: list[str]) -> None:
    found = [file_name(name) for name in names]
    assert len({name.lower() for name in found}) == len(names)
    assert all(name.isascii() and len(name) <= 80 and not set(name) & set('/\\:*?"<>| %#') for name in found)
    assert all(name.strip(". ") == name and os.path.basename(name) == name for name in found)


@pytest.mark.parametrize(
    "name", ["con", "nul.txt", "index", "audit", "a/b", "..", ".", "", "Churn", "x" * 200, "نموذج", "🦊"]
)
def test_odd_names_are_told_apart_from_plain_ones(name: str) -> None:
    assert "~" in file_name(name)


def test_plain_names_stay_as_they_are() -> None:
    assert [file_name(name) for name in ("churn", "v1.2.0", "v1.2.0-rc.1")] == [
        "churn",
        "v1.2.0",
        "v1.2.0-rc.1",
    ]


def test_a_site_of_another_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "old.html").write_text("old")
    (tmp_path / MANIFEST).write_text('{"files": {"old.html": ""}, "schema": 2}')
    with pytest.raises(InvalidInputError, match="another version of modelregistry"):
        SiteWriter(tmp_path)
    assert (tmp_path / "old.html").read_text() == "old"
