"use strict";
(() => {
  const textOf = new WeakMap();
  const text = (row) => {
    if (!textOf.has(row)) textOf.set(row, row.textContent.toLowerCase());
    return textOf.get(row);
  };
  const fits = {
    text: (row, wish) => wish.toLowerCase().split(/\s+/).every((word) => text(row).includes(word)),
    from: (row, wish) => row.dataset.day >= wish,
    until: (row, wish) => row.dataset.day <= wish,
  };
  const has = (name) => (row, wish) => (row.dataset[name] || "").split("\n").includes(wish);

  for (const form of document.querySelectorAll("form[data-filters]")) {
    const id = form.dataset.filters;
    const rows = [...document.querySelectorAll(`#${id} > tbody > tr`)];
    const count = document.querySelector(`[data-count=${id}]`);
    const none = document.querySelector(`[data-none=${id}]`);
    const all = count.textContent;
    const apply = () => {
      const wishes = [...new FormData(form)].filter(([, wish]) => wish.trim());
      let left = 0;
      for (const row of rows) {
        row.hidden = !wishes.every(([name, wish]) => (fits[name] || has(name))(row, wish));
        if (!row.hidden) left += 1;
      }
      count.textContent = wishes.length ? `${left.toLocaleString("en")} of ${all}` : all;
      none.hidden = left > 0;
    };
    form.addEventListener("input", apply);
    form.addEventListener("reset", () => setTimeout(apply));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = false;
    apply();
  }

  const key = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.key || cell.textContent.trim();
  };
  const order = new Intl.Collator("en", { numeric: true });
  const compare = (one, other) => {
    if (!one || !other) return 0;
    return isNaN(one) || isNaN(other) ? order.compare(one, other) : one - other;
  };
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows].map((row) => [key(row, column), row]);
        rows.sort(([one], [other]) => (!one) - (!other) || sign * compare(one, other));
        table.tBodies[0].append(...rows.map(([, row]) => row));
      });
    });
  }
})();
