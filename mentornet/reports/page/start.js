
  // ---- filters, the table of pairs, keys

  const drawConfusion = () => {
    const counts = new Map();
    for (const row of rows) {
      const pair = `${row.given},${row.predicted}`;
      counts.set(pair, (counts.get(pair) || 0) + 1);
    }
    const largest = Math.max(1, ...counts.values());
    const button = (given, predicted, text) => {
      const element = made("button", text);
      element.dataset.pair = `${given},${predicted}`;
      const told = `given ${name(given)}, predicted ${name(predicted)}: ${counts.get(`${given},${predicted}`)}`;
      element.title = told;
      element.setAttribute("aria-label", told);
      element.addEventListener("click", () => {
        const same = filter.given === given && filter.predicted === predicted;
        filter.given = same ? null : given;
        filter.predicted = same ? null : predicted;
        refilter();
      });
      return element;
    };
    const used = [...new Set(rows.flatMap((row) => [row.given, row.predicted]))].sort((a, b) => a - b);
    if (used.length > 24) { // as a list, the most frequent first
      const list = made("ul");
      for (const [pair, count] of [...counts].sort((a, b) => b[1] - a[1]).slice(0, 200)) {
        const [given, predicted] = pair.split(",").map(Number);
        const entry = button(given, predicted);
        entry.append(bdi(name(given)), "→", bdi(name(predicted)), made("b", String(count)));
        const item = made("li");
        item.append(entry);
        list.append(item);
      }
      at("confusion").append(list);
      return;
    }
    const table = made("table"), head = made("thead"), body = made("tbody"), top = made("tr");
    const heading = (label) => {
      const cellOf = made("th"), text = made("span");
      text.append(bdi(name(label)));
      text.title = name(label);
      cellOf.append(text);
      return cellOf;
    };
    top.append(made("th"), ...used.map(heading));
    head.append(top);
    for (const given of used) {
      const tr = made("tr");
      tr.append(heading(given));
      for (const predicted of used) {
        const td = made("td"), count = counts.get(`${given},${predicted}`);
        if (count) {
          const element = button(given, predicted, String(count));
          element.style.background = `rgb(var(--shade) / ${0.12 + 0.6 * count / largest})`;
          td.append(element);
        }
        tr.append(td);
      }
      body.append(tr);
    }
    table.append(head, body);
    at("confusion").append(table);
  };
  const fill = (side) => {
    const select = at(side);
    const used = [...new Set(rows.map((row) => row[side]))].sort((a, b) => a - b);
    const option = (value, text) => Object.assign(made("option", text), { value });
    select.append(option("", "any"), ...used.map((label) => option(String(label), name(label))));
    select.addEventListener("change", () => {
      filter[side] = select.value === "" ? null : Number(select.value);
      refilter();
    });
  };

  const keys = {
    a: () => current_row() && decide({ action: "confirm" }),
    p: () => current_row() && take(current_row().predicted),
    enter: () => current_row() && take(current_row().predicted),
    c: choose,
    x: () => decide({ action: "leave_out" }),
    delete: () => decide({ action: "leave_out" }),
    u: undo,
    n: next,
    o: openOriginal,
    s: download,
    "?": () => at("help").showModal(),
    arrowleft: () => go(current - 1),
    arrowright: () => go(current + 1),
    arrowup: () => go(current < columns ? current : current - columns),
    arrowdown: () => go(current + columns < visible.length ? current + columns : current),
    home: () => go(0),
    end: () => go(visible.length - 1),
    pageup: () => go(current - columns * Math.max(1, Math.floor(grid.clientHeight / (CARD.height + CARD.gap)))),
    pagedown: () => go(current + columns * Math.max(1, Math.floor(grid.clientHeight / (CARD.height + CARD.gap)))),
  };
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    const key = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && key === "z") {
      event.preventDefault();
      undo();
      return;
    }
    const of = event.target.closest("button, select, input, a");
    if (event.ctrlKey || event.metaKey || event.altKey || (of && (of.tagName !== "BUTTON" || key === "enter"))) return;
    if (Object.hasOwn(keys, key)) {
      event.preventDefault();
      keys[key]();
    }
  });
  at("search").addEventListener("input", offer);
  at("search").addEventListener("keydown", (event) => {
    const moved = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (moved) {
      event.preventDefault();
      picked = Math.min(Math.min(offered.length, 200) - 1, Math.max(0, picked + moved));
      highlight();
    } else if (event.key === "Enter") {
      event.preventDefault();
      pick();
    }
  });
  at("show").addEventListener("change", () => { filter.show = at("show").value; refilter(); });
  at("clear").addEventListener("click", () => {
    Object.assign(filter, { show: "all", given: null, predicted: null });
    refilter();
    grid.focus();
  });
  at("undo").addEventListener("click", undo);
  at("download").addEventListener("click", download);
  at("help-button").addEventListener("click", () => at("help").showModal());
  let waiting = false;
  grid.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  });
  new ResizeObserver(() => {
    const before = columns;
    measure();
    if (columns !== before) refilter();
    else draw();
  }).observe(grid);

  load();
  fill("given");
  fill("predicted");
  drawConfusion();
  refilter();
  const open = rows.findIndex((row) => !decisions.has(row.index));
  if (open > 0) go(open);
  grid.focus();
})();
