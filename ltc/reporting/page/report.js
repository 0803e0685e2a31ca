"use strict";
// Draws the plots of the page and fills in what is picked. Whatever comes from outside is put into
// the page as text, by textContent, and into plots as values.
(async () => {
  const byId = (id) => document.getElementById(id);
  const read = (id) => JSON.parse(byId(id).textContent);
  const data = read("report-data");
  const figures = read("report-figures");
  const notice = byId("notice");

  async function inflate(text) {
    const packed = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).arrayBuffer();
  }
  const unpack = async (text, Kind) => (text ? new Kind(await inflate(text)) : null);
  const unpackText = async (text) => new TextDecoder().decode(await inflate(text));

  if (typeof DecompressionStream === "undefined") {
    notice.textContent = "The plots need a newer browser. The tables don't.";
    return;
  }
  const library = document.createElement("script");
  library.textContent = await unpackText(byId("report-library").textContent);
  document.head.append(library); // runs at once; the page's policy knows its digest

  // Plots ---------------------------------------------------------------------------------------

  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const drawn = new Map(); // figure: its view

  // A copy of a figure in the colours of a dark page; there, few are dark and many are bright.
  function inTheDark(value, key = "") {
    if (Array.isArray(value)) {
      const [name, column] = value; // of a table
      if (value.length === 2 && /_color$/.test(name) && Array.isArray(column)) return [name, inTheDark(column, name)];
      const copy = value.map((each) => inTheDark(each, key));
      return key === "palette" && copy.join() === data.density.join() ? copy.reverse() : copy;
    }
    if (value !== null && typeof value === "object") {
      const entries = Object.entries(value);
      return Object.fromEntries(
        entries.map(([name, each]) => [name, inTheDark(each, name === "value" ? key : name)]),
      );
    }
    return key.endsWith("_color") && Object.hasOwn(data.dark, value) ? data.dark[value] : value;
  }

  const visible = (target) => !target.closest("details:not([open]), [hidden]");

  async function draw(target) {
    const name = target.dataset.figure;
    if (drawn.has(name) || !visible(target)) return;
    drawn.set(name, null);
    const item = prefersDark.matches ? inTheDark(figures[name]) : structuredClone(figures[name]);
    const view = await Bokeh.embed.embed_item(item, target);
    drawn.set(name, view);
  }

  async function drawAll() {
    for (const target of document.querySelectorAll("[data-figure]")) await draw(target);
    show();
  }

  function source(figure, name) {
    const views = drawn.get(figure);
    if (!views) return null;
    const [view] = views.roots;
    return view.model.document.get_model_by_name(name);
  }

  function put(figure, name, columns) {
    const table = source(figure, name);
    if (table) table.data = columns;
  }

  // What was picked -----------------------------------------------------------------------------

  const picked = { group: null, sample: null };
  const bins = data.edges.length - 1;
  const middles = Float32Array.from({ length: bins }, (_, k) => (data.edges[k] + data.edges[k + 1]) / 2);
  const scores = await unpack(data.scores, Uint8Array);
  const groups = data.names.length;
  const figuresOf = await unpack(data.classes, Float32Array);
  const histograms = await unpack(data.histograms, Uint32Array);
  const codeKinds = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array };
  const codes = data.codes ? await unpack(data.codes, codeKinds[data.codeBytes]) : null;
  const kept = await unpack(data.courses.samples, Uint32Array);
  const losses = await unpack(data.courses.losses, Uint16Array);
  const cells = data.cells ? await unpack(data.cells, codeKinds[data.cellBytes]) : null;
  const ids = data.ids ? JSON.parse(await unpackText(data.ids)) : null;
  const someIds = data.someIds ? JSON.parse(await unpackText(data.someIds)) : null;

  const count = (number) => number.toLocaleString("en");
  const decimal = (number, digits = 2) =>
    Number.isNaN(number) ? "none" : number.toFixed(digits).replace("-", "\u2212");
  const place = (sample) => (kept ? kept.indexOf(sample) : -1);
  const scoreOf = (sample) => {
    if (!scores || scores[sample] === 0) return NaN;
    return (scores[sample] - 128) / 127;
  };

  function half(bits) { // a float16
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }

  const histogram = (part, group) =>
    histograms.subarray((part * groups + group) * bins, (part * groups + group + 1) * bins);

  function say(target, parts) {
    const lines = parts.map((pieces) => {
      const line = document.createElement("p");
      for (const piece of pieces) {
        if (typeof piece === "string") line.append(piece);
        else {
          const outside = document.createElement(piece.strong ? "strong" : "bdi");
          outside.textContent = piece.text;
          if (piece.strong) outside.dir = "auto";
          line.append(outside);
        }
      }
      return line;
    });
    target.replaceChildren(...lines);
  }

  function showClass() {
    const group = picked.group;
    const empty = new Float32Array(0);
    const whole = { x: empty, share: empty };
    if (group === null || !histograms) {
      say(byId("class-found"), []);
      put("scores", "class-scores", whole);
      put("classes", "class-place", { x: empty, low: empty, high: empty });
    } else {
      const of = (row) => figuresOf[row * groups + group];
      say(byId("class-found"), [[
        "Class ", { text: data.names[group], strong: true },
        `: ${count(of(0))} samples, ${count(of(1))} without a score. Mean score ${decimal(of(2))}, ` +
        `median ${decimal(of(5))}, from ${decimal(of(3))} (5 %) to ${decimal(of(7))} (95 %).`,
      ]]);
      const counts = histogram(0, group);
      const total = counts.reduce((sum, each) => sum + each, 0) || 1;
      const share = Float32Array.from({ length: bins + 1 }, (_, k) => (k < bins ? (100 * counts[k]) / total : 0));
      put("scores", "class-scores", { x: Float32Array.from(data.edges), share });
      put("classes", "class-place", { x: [of(8)], low: [of(3)], high: [of(7)] });
    }
    showTakes(group);
    showMap(group);
  }

  // Points of other classes become pale; so do cells without any of the class, and others are counted.
  function showMap(group) {
    const points = source("map", "map");
    if (points && codes) {
      const alpha = Float32Array.from(points.data.sample, (sample) => {
        if (group === null) return 0.8;
        return codes[sample] === group ? 1 : 0.08;
      });
      points.data = { ...points.data, alpha };
    }
    if (!cells) return;
    for (const figure of ["map-number", "map-score"]) {
      const table = source(figure, "map");
      if (!table) continue;
      const all = table.data.all;
      const counts = group === null ? all : cells.subarray(group * all.length, (group + 1) * all.length);
      const number = Float32Array.from(counts, (each) => each || NaN);
      const alpha = Float32Array.from(counts, (each) => (each ? 1 : 0.12));
      const colours = source(figure, "map-colours");
      if (colours) colours.high = Math.max(2, counts.reduce((most, each) => Math.max(most, each), 0));
      table.data = { ...table.data, number, alpha };
    }
  }

  // Where a sample is on the map: the mean of p, and its standard deviation.
  function onMap(course) {
    const p = Array.from(course).filter((each) => !Number.isNaN(each)).map((each) => Math.exp(-each));
    if (p.length < 2) return { x: [], y: [] };
    const mean = p.reduce((sum, each) => sum + each, 0) / p.length;
    const squares = p.reduce((sum, each) => sum + (each - mean) ** 2, 0);
    return { x: [Math.sqrt(squares / p.length)], y: [mean] };
  }

  function showTakes(group) {
    const sums = (part) => {
      const sum = new Float64Array(bins);
      for (let each = 0; each < groups; each += 1) {
        if (group === null || each === group) histogram(part, each).forEach((number, k) => { sum[k] += number; });
      }
      return sum;
    };
    if (!histograms) return;
    const all = sums(0);
    const columns = { x: middles, low: data.edges.slice(0, -1), high: data.edges.slice(1), number: all };
    for (let k = 0; k < data.strategies; k += 1) {
      columns[`take${k}`] = Float32Array.from(sums(k + 1), (number, bin) => (all[bin] ? (100 * number) / all[bin] : NaN));
    }
    put("takes", "takes", columns);
  }

  function showSample() {
    const sample = picked.sample;
    const empty = new Float32Array(0);
    const score = sample === null ? NaN : scoreOf(sample);
    put("scores", "marked-score", { x: Number.isNaN(score) ? empty : [score] });
    const row = sample === null ? -1 : place(sample);
    byId("sample-course").hidden = row < 0;
    const length = data.checkpoints.length;
    const course = Float32Array.from(row < 0 ? [] : losses.subarray(row * length, (row + 1) * length), half);
    for (const figure of ["map", "map-number", "map-score"]) put(figure, "marked-place", onMap(course));
    if (row < 0) return;
    const fill = () => put("sample", "found-course", { x: data.checkpoints, loss: course });
    if (drawn.get("sample")) fill();
    else draw(byId("plot-sample")).then(fill);
  }

  function show() {
    showClass();
    byId("found").hidden = !byId("class-found").hasChildNodes() && !byId("sample-found").hasChildNodes();
    showSample(); // draws into what isn't hidden any more
  }

  // Looking for a sample ------------------------------------------------------------------------

  // Samples of which this is the id, then the one of which it is the index.
  function find(text) {
    const found = [];
    if (ids) ids.forEach((id, sample) => { if (id === text) found.push(sample); });
    else if (someIds) someIds.forEach((id, row) => { if (id === text) found.push(kept[row]); });
    if (/^\d+$/.test(text) && Number(text) < data.count && !found.includes(Number(text))) found.push(Number(text));
    return found;
  }

  function describe(sample) {
    const row = place(sample);
    const id = ids ? ids[sample] : someIds && row >= 0 ? someIds[row] : null;
    const line = ["Training sample ", { text: String(sample), strong: true }];
    if (id !== null) line.push(", id ", { text: id });
    if (codes) line.push(", class ", { text: data.names[codes[sample]] });
    if (scores) line.push(`: score ${decimal(scoreOf(sample))}.`);
    if (row < 0) line.push(" Its losses are not in this file.");
    return line;
  }

  byId("controls").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = byId("sample-input").value.trim();
    const found = text ? find(text) : [];
    picked.sample = found.length ? found[0] : null;
    if (found.length) say(byId("sample-found"), found.slice(0, 10).map(describe));
    else if (text) say(byId("sample-found"), [["No sample in this file is called ", { text }, "."]]);
    else say(byId("sample-found"), []);
    show();
  });
  const select = byId("class-select");
  if (select) {
    select.addEventListener("change", () => {
      picked.group = select.value === "" ? null : Number(select.value);
      show();
    });
  }

  for (const details of document.querySelectorAll("details")) details.addEventListener("toggle", drawAll);
  prefersDark.addEventListener("change", () => {
    for (const [name, views] of drawn) {
      if (!views) continue;
      views.clear();
      byId(`plot-${name}`).replaceChildren();
    }
    drawn.clear();
    drawAll();
  });
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details.query")) details.open = true;
  });

  await drawAll();
  notice.hidden = true;
  byId("controls").hidden = false;
  document.documentElement.dataset.drawn = "yes";
})();
