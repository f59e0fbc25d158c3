"use strict";
(() => {
  const made = document.querySelector(".made");
  if (!made) return;
  const panel = made.querySelector(".chosen");
  const tools = made.querySelector(".zoom");
  const graphs = [...made.querySelectorAll("svg.lineage")].map((svg) => ({
    svg,
    width: svg.width.baseVal.value,
    height: svg.height.baseVal.value,
    boxes: [...svg.querySelectorAll(".n")],
    edges: [...svg.querySelectorAll(".e")].map((path) => [...path.dataset.e.split(" ").map(Number), path]),
  }));
  const shown = () => graphs.find(({ svg }) => svg.getClientRects().length) || graphs[0];
  const numbers = (box) => box.dataset.n.split(" ").filter(Boolean);
  const element = (name, ...content) => {
    const made = document.createElement(name);
    made.append(...content);
    return made;
  };
  const link = (number, text) => {
    const found = element("a", element("bdi", text));
    found.href = `#n${number}`;
    return found;
  };
  const list = (links) => element("ul", ...links.map((each) => element("li", each)));
  const name = (box) => box.querySelector(".t").textContent;

  const walk = (edges, start, from, to) => {
    const seen = new Set([start]);
    for (const each of seen) for (const edge of edges) if (edge[from] === each) seen.add(edge[to]);
    return seen;
  };
  const paint = ({ svg, boxes, edges }, number) => {
    const start = boxes.findIndex((box) => numbers(box).includes(number));
    const [above, below] = [walk(edges, start, 1, 0), walk(edges, start, 0, 1)];
    svg.classList.toggle("choosing", start >= 0);
    boxes.forEach((box, at) => {
      box.classList.toggle("it", at === start);
      box.classList.toggle("near", at !== start && (above.has(at) || below.has(at)));
    });
    edges.forEach(([one, other, path]) => path.classList.toggle("on", above.has(other) || below.has(one)));
    return start;
  };

  const tell = ({ boxes, edges }, start, wanted) => {
    const box = boxes[start];
    const rows = wanted.map((number) => document.getElementById(`n${number}`));
    const facts = element("dl");
    const say = (what, ...content) => facts.append(element("dt", what), element("dd", ...content));
    if (rows.length === 1) {
      const [head, kind, known] = rows[0].cells;
      panel.replaceChildren(element("h3", ...[...head.childNodes].map((each) => each.cloneNode(true))), facts);
      say("kind", kind.textContent);
      for (const fact of known.children) {
        const [what, value] = fact.cloneNode(true).children;
        say(what.textContent, value);
      }
    } else {
      panel.replaceChildren(element("h3", name(box)), facts);
      say("in it", list(rows.map((row, at) => link(wanted[at], row.cells[0].textContent))));
    }
    const around = (from, to) => [...new Set(edges.filter((edge) => edge[from] === start).map((edge) => boxes[edge[to]]))];
    for (const [what, near] of [["made from", around(1, 0)], ["made into", around(0, 1)]]) {
      if (near.length) say(what, list(near.map((each) => link(numbers(each).join("-"), name(each)))));
    }
    panel.hidden = false;
  };

  const choose = (wanted) => {
    const graph = shown();
    const starts = new Map(graphs.map((each) => [each, paint(each, wanted[0])]));
    if (starts.get(graph) >= 0) tell(graph, starts.get(graph), wanted);
    return graph.boxes[starts.get(graph)];
  };
  const leave = () => {
    const box = shown().svg.querySelector(".it");
    graphs.forEach((graph) => paint(graph, ""));
    if (panel.contains(document.activeElement) && box) (box.matches("a") ? box : box.querySelector("a")).focus();
    graphs.forEach((graph) => paint(graph, ""));
    panel.hidden = true;
  };

  made.addEventListener("focusin", ({ target }) => {
    const box = target.closest("a[data-n]");
    if (box && numbers(box).length) choose(numbers(box));
  });
  made.addEventListener("click", (event) => {
    const box = event.target.closest("a[data-n]");
    const other = event.target.closest(".chosen a[href^='#n']");
    if (other) {
      event.preventDefault();
      const found = choose(other.hash.slice(2).split("-"));
      if (found) found.scrollIntoView({ block: "nearest", inline: "nearest" });
      panel.focus({ preventScroll: event.detail > 0 });
    } else if (box && box.getAttribute("href").startsWith("#n")) {
      event.preventDefault();
      choose(numbers(box));
      if (!event.detail) panel.focus();
    }
  });
  made.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leave();
  });

  let scale = 1;
  const zoom = (factor) => {
    const { svg, width } = shown();
    const room = svg.parentElement.clientWidth - 10;
    scale = factor ? Math.min(Math.max(scale * factor, 0.2), 4) : Math.min(1, room / width);
    for (const graph of graphs) {
      graph.svg.setAttribute("width", graph.width * scale);
      graph.svg.setAttribute("height", graph.height * scale);
    }
  };
  tools.hidden = false;
  tools.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (button) zoom(Number(button.dataset.zoom));
  });
  // The model, which everything leads to, is at the end.
  const toTheEnd = () => graphs.forEach(({ svg }) => (svg.parentElement.scrollLeft = svg.parentElement.scrollWidth));
  window.addEventListener("hashchange", toTheEnd);
  toTheEnd();
})();
