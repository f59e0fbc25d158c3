"""A static site of a registry: which pages there are, in which order they are read, rendered and written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from modelregistry.errors import InvalidInputError, naming
from modelregistry.log.history import History
from modelregistry.names import version_key
from modelregistry.progress import Progress, check_progress, counted
from modelregistry.project.declarations import Declared
from modelregistry.project.measuring import Answer, Kind
from modelregistry.site import pages
from modelregistry.site.lineage import PageOf, difference_shown, lineage_shown, version_pages
from modelregistry.site.notes import Notes, digest_of, head_of, looked_at, parts_of
from modelregistry.site.pages import ModelFacts, VersionFacts
from modelregistry.site.rendering import EXPLORED, Templates, picture
from modelregistry.site.writer import Site, SiteWriter, file_name
from modelregistry.version import ModelVersion

_EVENTS_A_PAGE = 5_000
_PLAIN = 2
"""Nodes of a lineage that is seen at a glance, such as a file and its commit: its page needs no script to walk it."""
JSON = "catalogue.json"


@dataclass(frozen=True, slots=True)
class Source:
    """A registry that is shown.

    Attributes:
        reading: Within it, all that is read is read by one git.
        models: Every model, folded, with all of its versions.
        bring: Reads what many commits declare of a model at once, before it is asked for one by one.
        declared: What each commit declares of a model, for (commit, model) pairs.
        measured: The metrics or parameters of many versions.
        signers: Who signed each of a model's versions, as far as the reader's policy knows.
        address: Where others read the registry from.
        name: What it is called, where a site shows several.
    """

    reading: Callable[[], AbstractContextManager[object]]
    models: Callable[[], Iterable[tuple[History, Sequence[ModelVersion]]]]
    bring: Callable[[Iterable[tuple[str, str]]], object]
    declared: Callable[[Sequence[tuple[str, str]]], Sequence[Declared]]
    measured: Callable[[Sequence[ModelVersion], Kind], Sequence[Answer]]
    signers: Callable[[Sequence[ModelVersion]], Sequence[str | None]]
    address: str | None = None
    name: str = ""


def export_site(
    target: str | os.PathLike[str], sources: Sequence[Source], *, title: str, progress: Progress = None
) -> Site:
    """Write the site of some registries; ``Registry.export_site`` says more."""
    check_progress(progress)
    if not isinstance(title, str):
        raise InvalidInputError(f"title={title!r} must be a text")
    if odd := [source.address for source in sources if not isinstance(source.address, str | None)]:
        raise InvalidInputError(f"url={odd[0]!r} must be a text")
    writer = SiteWriter(target)
    templates = Templates()
    with writer:
        return _export(writer, templates, sources, title, progress)


def _export(
    writer: SiteWriter, templates: Templates, sources: Sequence[Source], title: str, progress: Progress
) -> Site:
    prefix = "{}/" if len(sources) > 1 else ""
    found = []
    for source in sources:
        with naming(source.name) if source.name else nullcontext():
            found.append((source, _read(source, prefix.format(file_name(source.name)))))
    models = [model for _, some in found for model in some]
    events = sorted(
        ((event, model) for model in models for event in model.shown_events),
        key=lambda pair: (pair[0].at, pair[1].registry, pair[1].name, pair[0].order),
    )
    audits = _audit_pages(len(events))
    page_of = version_pages(models)
    writer.begin(["index.html", *audits, JSON, *(page for model in models for page in model.pages)])
    notes = Notes(writer.notes, map(_without_comma, writer.last(JSON).split("\n")))
    made_by = [templates.made_by, title]
    lines = [
        line
        for source, some in found
        for line in _write_models(source, some, writer, templates, notes, made_by, title, progress, page_of)
    ]
    for number, name in enumerate(audits):
        rows = [
            pages.event_row(model, event)
            for event, model in reversed(events[number * _EVENTS_A_PAGE : (number + 1) * _EVENTS_A_PAGE])
        ]
        of = digest_of([*made_by, number, rows])
        notes.put(name, of)
        if notes.is_same(name, of) and writer.keep([name]):
            continue
        first = number * _EVENTS_A_PAGE + 1
        # Of what came later it says nothing, so that it stays as it is.
        page = {
            "rows": rows,
            "older": audits[:number],
            "here": name,
            "first": first,
            "last": first + len(rows) - 1,
        }
        writer.write(name, _render(templates, "audit.html", name, title, page=page))
    page = {"models": [pages.index_row(model) for model in models], "several": len(sources) > 1}
    writer.write("index.html", _render(templates, "index.html", "index.html", title, page=page))
    # A model a line: what is unchanged is taken over as it is.
    body = ",\n".join(lines)
    writer.write(JSON, f'{{"models": [\n{body}\n], "schema": 1, "title": {json.dumps(title)}}}\n')
    return writer.finish(notes.new)


def _write_models(
    source: Source, models: Sequence[ModelFacts], writer: SiteWriter, templates: Templates, notes: Notes,
    made_by: Sequence[object], title: str, progress: Progress, page_of: Callable[[ModelFacts], PageOf],
) -> Iterator[str]:  # fmt: skip
    """The pages of a registry's models, as far as they would not come out as they are; gives their lines in the catalogue."""
    heads = {model.name: head for model in models if (head := head_of(model)) is not None}
    made_of = {model.page: digest_of([*made_by, *parts_of(model)]) for model in models}
    known: dict[str, str] = {}
    for model in models:
        line = notes.line(model.page, made_of[model.page], heads)
        if line is not None and writer.keep(model.pages):
            known[model.page] = line
            notes.keep(model.page)
    with source.reading():
        new = [model for model in models if model.page not in known]
        source.bring((version.rev, version.name) for model in new for version in model.versions)
        for model in counted(models, progress, "writing the site", "models"):
            if model.page in known:
                yield known[model.page]
                continue
            signers = source.signers(model.versions)
            facts = [*map(pages.read_version, model.versions, signers)]
            _write_model(writer, templates, model, facts, title, page_of(model))
            line = json.dumps(pages.model_json(model, facts), sort_keys=True, separators=(",", ":"))
            after = looked_at(model, facts, heads)
            if after is not None and model.name in heads:
                notes.put(model.page, made_of[model.page], after=after, line=line)
            yield line


def _without_comma(line: str) -> str:
    return line.removesuffix(",")


def _read(source: Source, prefix: str) -> list[ModelFacts]:
    """Every model, with what is read of all versions at once."""
    models = [
        ModelFacts(
            history, sorted(versions, key=lambda each: version_key(each.version), reverse=True), None,
            prefix=prefix, registry=source.name, address=source.address,
        )
        for history, versions in sorted(source.models(), key=lambda pair: pair[0].model)
        if any(event.echo_of is None for event in history.events)
    ]  # fmt: skip
    every = [version for model in models for version in model.versions]
    latest = [_latest(model) for model in models]
    pairs = [pair for pair in latest if pair[0]]
    declared = dict(zip(pairs, source.declared(pairs), strict=True))
    metrics, params = (
        {each.reference: answer for each, answer in zip(every, source.measured(every, kind), strict=True)}
        for kind in ("metrics", "params")
    )  # fmt: skip
    return [
        replace(
            model, declared=declared[pair].entry if pair in declared else None,
            measured={each.version: metrics[each.reference].values for each in model.versions},
            params={each.version: params[each.reference].values for each in model.versions},
            unmeasured={
                each.version: list(dict.fromkeys(filter(None, problems)))
                for each in model.versions
                if any(problems := [metrics[each.reference].problem, params[each.reference].problem])
            },
        )
        for model, pair in zip(models, latest, strict=True)
    ]  # fmt: skip


def _latest(model: ModelFacts) -> tuple[str, str]:
    """The commit whose ``dvc.yaml`` says what the model is; nothing where it has no version."""
    latest = model.history.latest or next((each.version for each in model.versions), None)
    return (model.history.versions[latest].registered.rev if latest else "", model.name)


def _write_model(
    writer: SiteWriter, templates: Templates, model: ModelFacts, facts: Sequence[VersionFacts], title: str,
    page_of: PageOf,
) -> None:  # fmt: skip
    page = pages.model_page(model)
    drawn = [
        {"picture": picture(each.to_svg()), "title": each.title, "points": len(each)}
        for each in page["trends"]
    ]
    latest = next((each for each in facts if each.version.version == page["latest"]), None)
    page |= {"trends": drawn, "sections": _set(templates, latest.sections if latest else [])}
    writer.write(model.page, _render(templates, "model.html", model.page, title, page=page))
    top = next((each for each in facts if each.version.version == model.top), None)
    for each in facts:
        shown = pages.version_page(model, each, top)
        shown["sections"] = _set(templates, each.sections)
        name = model.page_of(each.version.version)
        lineage, before = each.lineage, top.lineage if top else None
        if lineage is not None:
            shown["lineage"] = lineage_shown(lineage, page_of, _root(name), templates.drawn)
        if shown["diff"] and lineage is not None and before is not None:
            shown["diff"]["picture"] = difference_shown(before, lineage, templates.drawn)
        dress = EXPLORED if lineage is not None and len(lineage) > _PLAIN else "version.html"
        writer.write(name, _render(templates, "version.html", name, title, page=shown, dress=dress))


def _set(templates: Templates, sections: Sequence[tuple[str, str]]) -> list[tuple[str, Any]]:
    return [(name, templates.markdown(text)) for name, text in sections]


def _render(
    templates: Templates,
    template: str,
    name: str,
    title: str,
    *,
    page: dict[str, Any],
    dress: str | None = None,
) -> str:
    """A page, with links that are relative to it: it opens from a disk, too."""
    return templates.render(template, dress=dress, root=_root(name), here=template, title=title, page=page)


def _root(name: str) -> str:
    """The way from a page to the top of the site."""
    return "../" * name.count("/")


def _audit_pages(events: int) -> list[str]:
    """The oldest events come first, so that a full page stays as it is; the newest are where people look."""
    older = range(1, max(-(-events // _EVENTS_A_PAGE), 1))
    return [*(f"audit/{number}.html" for number in older), "audit.html"]
