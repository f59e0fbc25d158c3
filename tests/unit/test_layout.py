"""The places of a graph are those of its sizes and arrows, remembered or not."""

from __future__ import annotations

from modelregistry.display.layout import Layout, laid_out

ARROWS = [("data", "step"), ("code", "step"), ("step", "model"), ("data", "model")]


def places(layout: Layout, ids: list[str]) -> list[object]:
    return [layout.width, layout.height, *layout.paths, *map(layout.box, ids)]


def test_a_graph_like_one_before_has_the_places_that_it_would_have_alone() -> None:
    for width in (60.0, 80.0, 60.0):
        sizes = {"data": (width, 30.0), "code": (50.0, 30.0), "step": (40.0, 20.0), "model": (90.0, 60.0)}
        assert places(laid_out(sizes, ARROWS), [*sizes]) == places(Layout(sizes, ARROWS), [*sizes])
    assert laid_out(sizes, ARROWS) is laid_out(dict(sizes), tuple(ARROWS))


def test_the_places_of_a_large_graph_are_not_kept() -> None:
    sizes = {str(number): (60.0, 30.0) for number in range(200)}
    assert laid_out(sizes, []) is not laid_out(sizes, [])
