// Lights what belongs together in the texts of a compilation. A part of a text has the number of a statement of the nest
// (data-n) or of things of the schedule (data-t); statements that stand in statement n are n+1 to ends[n].
"use strict";
for (const bench of document.querySelectorAll(".bench")) {
  const data = JSON.parse(bench.querySelector("script").textContent);
  const status = bench.querySelector(".lit"), help = status.textContent;
  const panes = [...bench.querySelectorAll(".pane")];
  const parts = new Map(), tokens = new Map(), owners = new Map();
  let lit = [], kept = null, shown = null, timer = 0, frame = 0;

  const add = (map, key, value) => map.has(key) ? map.get(key).push(value) : map.set(key, [value]);
  for (const part of bench.querySelectorAll("[data-n]")) add(parts, +part.dataset.n, part);
  for (const token of bench.querySelectorAll("[data-t]")) {
    const things = token.dataset.t.split(" ");
    if (things.length === 1) add(tokens, +things[0], token);
  }
  data.things.forEach(([, statements], thing) => statements.forEach(n => add(owners, n, thing)));
  const around = new Array(data.ends.length).fill(0); // the statement in which one stands
  const open = [];
  for (let n = 1; n < data.ends.length; n++) {
    while (open.length && data.ends[open[open.length - 1]] < n) open.pop();
    around[n] = open.length ? open[open.length - 1] : 0;
    if (data.ends[n] > n) open.push(n);
  }

  function light(element, kind) {
    if (!element.classList.contains("on")) element.classList.add(kind);
    lit.push(element);
  }

  function clear() {
    for (const element of lit) element.classList.remove("on", "in", "up");
    for (const pane of panes) pane.querySelector("output").textContent = "";
    lit = [];
    shown = null;
    status.textContent = help;
    bench.classList.remove("kept");
  }

  function show(source) {
    if (source === shown) return;
    clear();
    shown = source;
    const things = source.dataset.t ? source.dataset.t.split(" ").map(Number) : owners.get(+source.dataset.n) || [];
    const several = source.dataset.t && things.length > 1;
    const statements = source.dataset.t ? things.flatMap(t => data.things[t][1]) : [+source.dataset.n];
    light(source, "on");
    for (const thing of things) for (const token of tokens.get(thing) || []) light(token, "on");
    if (!several) for (const n of statements) for (const part of parts.get(n) || []) light(part, "on");
    const inside = new Set();
    for (const n of statements) for (let m = several ? n : n + 1; m <= data.ends[n]; m++) inside.add(m);
    for (const n of inside) for (const part of parts.get(n) || []) light(part, "in");
    if (source.dataset.n) {
      for (let n = around[+source.dataset.n]; n; n = around[n]) {
        for (const thing of owners.get(n) || []) for (const token of tokens.get(thing) || []) light(token, "up");
        for (const part of parts.get(n) || []) if (part.closest(".nest")) light(part, "up");
      }
    }
    say(source, things);
    clearTimeout(timer);
    timer = setTimeout(() => reveal(source), 180);
  }

  const lines = element => element.textContent.split("\n").length;

  function say(source, things) {
    const counts = [];
    for (const pane of panes) {
      const code = [...new Set(pane.querySelectorAll("[data-n].on, [data-n].in"))];
      const own = code.filter(e => e.classList.contains("on")).reduce((sum, e) => sum + lines(e), 0);
      const inside = code.reduce((sum, e) => sum + lines(e), 0) - own;
      const text = [own ? `${own} lit` : "", inside ? `${inside} inside` : ""].filter(Boolean).join(", ");
      pane.querySelector("output").textContent = text;
      if (text) counts.push(`${pane.dataset.pane} ${text}`);
    }
    const what = source.dataset.t && things.length === 1 ? data.things[things[0]][0]
      : source.dataset.t ? source.textContent.trim()
      : ((parts.get(+source.dataset.n) || []).find(e => e.closest(".nest")) || source).textContent.trim();
    status.textContent = `${what}: ${counts.join("; ") || "nothing comes from it"}`;
  }

  function reveal(source) {
    for (const pane of panes) {
      const box = pane.querySelector("pre");
      if (!box || pane.contains(source) || box.scrollHeight <= box.clientHeight) continue;
      const own = [...pane.querySelectorAll("[data-n].on, [data-t].on")];
      const found = own.length ? own : [...pane.querySelectorAll("[data-n].in")];
      const view = box.getBoundingClientRect();
      const seen = found.slice(0, 400).some(e => {
        const place = e.getBoundingClientRect();
        return place.bottom > view.top && place.top < view.bottom;
      });
      if (found.length && !seen) {
        box.scrollTop += found[0].getBoundingClientRect().top - view.top - view.height / 4;
      }
    }
  }

  function keep(source) {
    const again = kept === source;
    kept = again ? null : source;
    clear();
    if (kept) { show(kept); bench.classList.add("kept"); }
  }

  const part = event => event.target.closest("[data-n], [data-t]");
  bench.addEventListener("pointerover", event => {
    const source = part(event);
    if (kept || event.pointerType === "touch") return;
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => source ? show(source) : clear());
  });
  bench.addEventListener("pointerleave", () => { cancelAnimationFrame(frame); if (!kept) clear(); });
  bench.addEventListener("click", event => {
    const source = part(event);
    if (source && !String(getSelection())) keep(source);
  });
  bench.addEventListener("focusin", event => { if (event.target.dataset.t && !kept) show(event.target); });
  bench.addEventListener("keydown", event => {
    const source = part(event);
    if (event.key === "Escape") { kept = null; clear(); return; }
    if (source && source.dataset.t && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      keep(source);
      return;
    }
    const box = event.target.closest("pre");
    const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!box || event.target !== box || !way) return;
    const all = [...box.querySelectorAll("[data-n], [data-t]")];
    const now = all.indexOf(shown), next = all[now < 0 ? (way > 0 ? 0 : all.length - 1) : now + way];
    if (!next) return;
    event.preventDefault();
    kept = null;
    show(next);
    kept = next;
    bench.classList.add("kept");
    next.scrollIntoView({ block: "nearest" });
  });
}
