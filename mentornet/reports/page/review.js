// The review page: which suspect is shown where, what was decided of each, and corrections.csv. It opens no connection
// and makes no HTML of text: every name goes through textContent.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const classes = data.classes;
  const rows = data.rows.map(([index, given, predicted, loss, mean, weight, rank, thumb, path, href]) =>
    ({ index, given, predicted, loss, mean, weight, rank, thumb, path, href }));
  const at = (id) => document.getElementById(id);
  const made = (tag, text, kind) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (kind) element.className = kind;
    return element;
  };
  // One line, each name on its own direction; what can't be seen is shown as a sign.
  const line = (text) => text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, "\u00b6");
  const name = (label) => line(classes[label] ?? String(label));
  const bdi = (text) => made("bdi", text);

  // ---- what was decided, kept in the browser

  const storageKey = `mentornet-review:${data.key}`;
  let decisions = new Map();
  let history = [];
  let stored = true;
  const isDecision = (d) => Boolean(d) && (d.action === "confirm" || d.action === "leave_out" ||
    (d.action === "relabel" && Number.isInteger(d.label) && d.label >= 0 && d.label < classes.length));
  const load = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(storageKey) || "null");
      if (!kept) return;
      const known = new Set(rows.map((row) => row.index));
      decisions = new Map(kept.decisions.filter(([index, d]) => Number.isInteger(index) && isDecision(d)));
      history = kept.history.filter(([index]) => known.has(index));
    } catch {
      decisions = new Map();
      history = [];
      stored = false;
    }
  };
  const save = () => {
    try {
      localStorage.setItem(storageKey, JSON.stringify({ decisions: [...decisions], history: history.slice(-1000) }));
    } catch {
      stored = false;
    }
  };
  const put = (index, decision) => (decision ? decisions.set(index, decision) : decisions.delete(index));
  const words = (decision) => !decision ? "" : decision.action === "confirm" ? "✓ given is right"
    : decision.action === "leave_out" ? "✗ left out" : `→ ${name(decision.label)}`;

  // ---- what is shown: a list of rows, of which only those in sight are elements

  const CARD = { width: 156, height: 222, gap: 12 };
  const grid = at("grid"), space = at("space");
  const filter = { show: "all", given: null, predicted: null };
  let visible = rows, current = 0, columns = 1;
  const cards = new Map();
  const current_row = () => visible[current];

  const fits = (row) => (filter.given === null || row.given === filter.given) &&
    (filter.predicted === null || row.predicted === filter.predicted) &&
    (filter.show === "all" || (filter.show === "done") === decisions.has(row.index));

  const refilter = () => {
    const before = current_row();
    visible = rows.filter(fits);
    current = Math.max(0, visible.indexOf(before));
    for (const card of cards.values()) card.remove();
    cards.clear();
    at("empty").hidden = visible.length > 0;
    at("show").value = filter.show;
    for (const side of ["given", "predicted"]) at(side).value = filter[side] === null ? "" : String(filter[side]);
    for (const button of at("confusion").querySelectorAll("button")) {
      const pressed = button.dataset.pair === `${filter.given},${filter.predicted}`;
      button.setAttribute("aria-pressed", String(pressed));
    }
    measure();
    reveal();
    draw();
  };
  const measure = () => {
    columns = Math.max(1, Math.floor((grid.clientWidth - CARD.gap) / (CARD.width + CARD.gap)));
    const lines = Math.ceil(visible.length / columns);
    space.style.height = `${visible.length ? lines * (CARD.height + CARD.gap) + CARD.gap : 0}px`;
  };
  const picture = (row) => {
    if (!row.thumb) return made("span", "no picture", "none");
    const image = made("img");
    image.alt = `suspect ${row.rank}`;
    image.decoding = "async";
    image.addEventListener("load", () => image.classList.toggle("small", image.naturalWidth <= 64), { once: true });
    image.src = row.thumb;
    return image;
  };
  const numbers = (row) => [`#${row.rank}`, row.loss === null ? "" : `loss ${row.loss.toFixed(1)}`,
    row.weight === null ? "" : `w ${row.weight.toFixed(2)}`].filter(Boolean).join(" · ");
  const card = (position) => {
    const row = visible[position], element = made("div", undefined, "card");
    element.id = `suspect-${row.index}`;
    element.setAttribute("role", "option");
    element.dataset.index = row.index;
    const frame = made("div", undefined, "picture");
    frame.append(picture(row));
    const given = made("div", undefined, "given"), guess = made("div", undefined, "guess");
    given.append(bdi(name(row.given)));
    guess.append(bdi(name(row.predicted)));
    element.append(frame, given, guess, made("div", numbers(row), "numbers"), made("div", "", "decision"));
    element.style.left = `${CARD.gap + (position % columns) * (CARD.width + CARD.gap)}px`;
    element.style.top = `${CARD.gap + Math.floor(position / columns) * (CARD.height + CARD.gap)}px`;
    element.addEventListener("click", () => { current = position; draw(); grid.focus(); });
    element.addEventListener("dblclick", openOriginal);
    return element;
  };
  const mark = (position, element) => {
    const row = visible[position], decision = decisions.get(row.index);
    element.className = `card ${decision ? decision.action : ""} ${position === current ? "current" : ""}`;
    element.setAttribute("aria-selected", String(position === current));
    const told = words(decision);
    element.setAttribute("aria-label",
      `${row.rank}: given ${name(row.given)}, predicted ${name(row.predicted)}${told ? `, ${told}` : ""}`);
    const shown = element.lastChild;
    if (shown.textContent !== told) shown.replaceChildren(bdi(told));
  };
  const draw = () => {
    const step = CARD.height + CARD.gap;
    const first = Math.max(0, Math.floor(grid.scrollTop / step) - 1) * columns;
    const last = Math.min(visible.length, (Math.ceil((grid.scrollTop + grid.clientHeight) / step) + 1) * columns);
    for (const [position, element] of cards) {
      if (position >= first && position < last) continue;
      element.remove();
      cards.delete(position);
    }
    for (let position = first; position < last; position += 1) {
      if (!cards.has(position)) {
        cards.set(position, card(position));
        space.append(cards.get(position));
      }
      mark(position, cards.get(position));
    }
    const row = current_row();
    if (row) grid.setAttribute("aria-activedescendant", `suspect-${row.index}`);
    else grid.removeAttribute("aria-activedescendant");
    detail(row);
    progress();
  };
  const reveal = () => {
    const step = CARD.height + CARD.gap, top = Math.floor(current / columns) * step;
    if (top < grid.scrollTop) grid.scrollTop = top;
    else if (top + step + CARD.gap > grid.scrollTop + grid.clientHeight) {
      grid.scrollTop = top + step + CARD.gap - grid.clientHeight;
    }
  };
  let detailed = null;
  const detail = (row) => {
    const decision = row && decisions.get(row.index), sign = row && `${row.index} ${words(decision)}`;
    if (sign === detailed) return;
    detailed = sign;
    at("zoom").replaceChildren(...(row ? [picture(row)] : []));
    const about = at("about");
    about.replaceChildren();
    if (!row) return;
    const fact = (what, value) => {
      const cell = made("dd");
      cell.append(typeof value === "string" ? bdi(value) : value);
      about.append(made("dt", what), cell);
    };
    const share = (loss) => `${(100 * Math.exp(-loss)).toFixed(loss > 7 ? 4 : 1)}%`;
    fact("given", name(row.given));
    fact("predicted", name(row.predicted));
    if (row.loss !== null) {
      fact("loss at the end", row.loss.toFixed(3));
      fact("probability of given label", share(row.loss));
    }
    if (row.mean !== null) fact("its mean in training", `${(100 * row.mean).toFixed(2)}%`);
    if (row.weight !== null) fact("mean weight at the end", row.weight.toFixed(3));
    fact("rank", `${row.rank} of ${data.total.toLocaleString("en")}`);
    fact("index", String(row.index));
    if (row.path !== null) {
      const link = made(row.href ? "a" : "bdi", line(row.path));
      if (row.href) Object.assign(link, { href: row.href, target: "_blank", rel: "noopener noreferrer", id: "original" });
      fact("file", link);
    }
    fact("decision", words(decision) || "none yet");
  };
  const progress = () => {
    const done = rows.reduce((sum, row) => sum + decisions.has(row.index), 0);
    const fixed = [...decisions.values()].filter((d) => d.action === "relabel").length;
    at("bar").value = rows.length ? done / rows.length : 1;
    at("count").textContent = `${done.toLocaleString("en")} of ${rows.length.toLocaleString("en")} decided, ` +
      `${fixed.toLocaleString("en")} relabelled` + (stored ? "" : " (this browser keeps nothing: download in time)");
    at("undo").disabled = !history.length;
    at("download").disabled = !decisions.size;
  };
  const say = (text) => { at("status").textContent = text; };

  // ---- acting

  const go = (position) => {
    if (!visible.length) return;
    current = Math.min(visible.length - 1, Math.max(0, position));
    reveal();
    draw();
  };
  const next = () => {
    for (let k = 1; k <= visible.length; k += 1) {
      const position = (current + k) % visible.length;
      if (!decisions.has(visible[position].index)) return go(position);
    }
    say("Everything shown is decided.");
    return draw();
  };
  const decide = (decision) => {
    const row = current_row();
    if (!row) return;
    history.push([row.index, decisions.get(row.index) ?? null]);
    put(row.index, decision);
    save();
    say(`Number ${row.rank}: ${words(decision)}`);
    const following = visible[current + 1];
    if (filter.show !== "all") refilter();
    const place = visible.indexOf(following);
    if (filter.show === "all") next();
    else go(place < 0 ? current : place);
  };
  const take = (label) => {
    const row = current_row();
    if (row) decide(label === row.given ? { action: "confirm" } : { action: "relabel", label });
  };
  const undo = () => {
    const last = history.pop();
    if (!last) return say("There is nothing to undo.");
    put(last[0], isDecision(last[1]) ? last[1] : null);
    save();
    if (filter.show !== "all") refilter();
    say("Undone.");
    const position = visible.findIndex((row) => row.index === last[0]);
    return position < 0 ? draw() : go(position);
  };
  const openOriginal = () => {
    const row = current_row();
    if (row && row.href) window.open(row.href, "_blank", "noopener,noreferrer");
    else say("The original file of this image is not at hand.");
  };
  // A spreadsheet runs what begins like a formula: a quote before it, which --corrections_file takes off again.
  const cell = (value) => {
    const text = /^'*[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const corrections = () => {
    const known = new Map(rows.map((row) => [row.index, row]));
    const lines = [["index", ...(data.hasPaths ? ["path"] : []), "action", "label"]];
    for (const [index, d] of [...decisions].sort((a, b) => a[0] - b[0])) {
      const row = known.get(index);
      if (!row) continue; // of a page with more suspects
      const label = d.action === "relabel" ? classes[d.label] : d.action === "confirm" ? classes[row.given] : "";
      lines.push([String(index), ...(data.hasPaths ? [row.path] : []), d.action, label]);
    }
    return lines.map((line) => line.map(cell).join(",")).join("\n") + "\n";
  };
  const download = () => {
    if (!decisions.size) return say("Nothing is decided yet.");
    const link = made("a");
    link.href = URL.createObjectURL(new Blob([corrections()], { type: "text/csv" }));
    link.download = "corrections.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    return say("corrections.csv is in your downloads.");
  };

  // ---- choosing a label

  let offered = [], picked = 0;
  const offer = () => {
    const wanted = at("search").value.toLowerCase();
    offered = classes.map((_, label) => label).filter((label) => name(label).toLowerCase().includes(wanted));
    offered.sort((a, b) => name(b).toLowerCase().startsWith(wanted) - name(a).toLowerCase().startsWith(wanted) || a - b);
    picked = 0;
    at("choices").replaceChildren(...offered.slice(0, 200).map((label, place) => {
      const item = made("li");
      item.setAttribute("role", "option");
      item.append(bdi(name(label)));
      item.addEventListener("click", () => { picked = place; pick(); });
      return item;
    }));
    highlight();
  };
  const highlight = () => [...at("choices").children].forEach((item, place) => {
    item.setAttribute("aria-selected", String(place === picked));
    if (place === picked) item.scrollIntoView({ block: "nearest" });
  });
  const pick = () => {
    if (offered[picked] === undefined) return;
    at("chooser").close();
    take(offered[picked]);
    grid.focus();
  };
  const choose = () => {
    if (!current_row()) return;
    at("search").value = "";
    offer();
    at("chooser").showModal();
    at("search").focus();
  };
