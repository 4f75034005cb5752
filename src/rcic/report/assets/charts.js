"use strict";
// The charts: for each kind the options to pick and the drawing of a table. Colours are those of the theme; every series
// also has its own symbol. Plotly interprets some markup in texts, so every name goes through safe().

const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "x", "cross", "star", "triangle-down"];
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

const safe = (text) => String(text ?? "").replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const middle = (text, most) => (text.length > most ? `${text.slice(0, Math.ceil(most / 2) - 1)}…${text.slice(-Math.floor(most / 2))}` : text);
const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
const options = (values) => values.map((value) => ({ value: String(value), text: String(value) }));
const percent = (value) => value.toFixed(Math.abs(value) < 99.95 ? 1 : 0);
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const byName = new Intl.Collator("en", { numeric: true }).compare;

function theme() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const names = ["ink", "quiet", "line", "panel", "blank", "pale", "middle", "low", "high"];
  const found = Object.fromEntries(names.map((name) => [name, colour(name)]));
  found.dark = document.documentElement.dataset.theme === "dark";
  found.series = Array.from({ length: 8 }, (_, number) => colour(`c${number + 1}`));
  return found;
}

// Colours of many names: the eight of the theme, then further hues.
function palette(colours, count) {
  if (count <= 8) return colours.series;
  return Array.from({ length: count }, (_, n) => `hsl(${Math.round((n * 137.508) % 360)} 60% ${colours.dark ? 66 : 42}%)`);
}

function layout(colours, height, more = {}) {
  const axis = {
    gridcolor: colours.line, linecolor: colours.line, zeroline: false, ticks: "", automargin: true, fixedrange: true,
    tickfont: { color: colours.quiet }, title: { font: { color: colours.quiet, size: 13 }, standoff: 10 },
  };
  const base = {
    height, margin: { l: 10, r: 24, t: 14, b: 44 }, font: { family: FONT, size: 13, color: colours.ink },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: false, hovermode: "closest",
    hoverlabel: { bgcolor: colours.panel, bordercolor: colours.line, font: { family: FONT, color: colours.ink }, align: "left" },
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", font: { color: colours.ink } }, showlegend: false,
  };
  const merged = { ...base, ...more };
  for (const name of new Set(["xaxis", "yaxis", ...Object.keys(more).filter((key) => /^[xy]axis/.test(key))])) {
    const own = more[name] ?? {};
    merged[name] = { ...axis, ...own, title: { ...axis.title, ...own.title } };
  }
  return merged;
}

const few = (width) => width < 560; // a phone

// The choice among all wells and those of each cell type; of one cell type there is nothing to choose.
const cellTypes = (values) => (values.length > 2 ? values : values.slice(0, 1)).map((v) => ({ value: v, text: v === "all" ? "all cell types" : v }));

// ---- the ladder

const ladder = {
  picks(table) {
    const names = table.unique("predictions");
    const rows = table.where((row) => ["all", "cell_type"].includes(table.at("scope", row)));
    return [
      { name: "predictions", label: "Predictions", values: options(names) },
      { name: "value", label: "Wells of", values: cellTypes(table.unique("value", rows)) },
    ];
  },
  draw(table, pick, colours, _, width) {
    const scope = pick.value === "all" ? "all" : "cell_type";
    const rows = table.where((row) => table.at("scope", row) === scope && table.at("value", row) === pick.value);
    const rungs = table.unique("rung", rows);
    const series = (name) => rungs.map((rung) => rows.find((row) => table.at("predictions", row) === name && table.at("rung", row) === rung));
    const own = series(pick.predictions).map((row) => (row === undefined ? null : table.at("accuracy", row)));
    const before = own.map((value, n) => (value === null ? null : own.slice(0, n).findLast((v) => v !== null) ?? null));
    const base = own.map((value, n) => (before[n] === null ? value : Math.min(value, before[n])));
    const gain = own.map((value, n) => (before[n] === null ? 0 : Math.max(0, value - before[n])));
    const step = own.map((value, n) => (before[n] === null ? "" : `${value >= before[n] ? "+" : "−"}${Math.abs(value - before[n]).toFixed(1)}`));
    const beside = (n, text, x) => ({ x, xref: "x", y: n, yref: "y", text, showarrow: false, xanchor: "right" });
    const end = few(width) ? [146, 186] : [110, 119];
    const numbers = own.flatMap((value, n) => (value === null ? [] : [beside(n, `<b>${value.toFixed(2)}</b>`, end[0]), beside(n, step[n], end[1])]));
    const places = rungs.map((_, n) => n), under = 0.36; // offset of the other predictions, below the bar
    const bar = { type: "bar", orientation: "h", y: places, width: 0.44, hoverinfo: "skip", showlegend: false };
    const others = table.unique("predictions", rows).filter((name) => name !== pick.predictions);
    const whiskers = series(pick.predictions).map((row, n) => ({ row, n })).filter(({ row }) => row !== undefined && table.at("low", row) !== null);
    const traces = [
      { ...bar, x: base, marker: { color: colours.pale } },
      { ...bar, x: gain, marker: { color: colours.series[0] } },
      {
        type: "scatter", mode: "markers", showlegend: false, cliponaxis: false, marker: { size: 5, color: colours.ink }, x: whiskers.map(({ row }) => table.at("accuracy", row)), y: whiskers.map(({ n }) => n),
        error_x: interval(table, whiskers.map(({ row }) => row), colours.ink), hovertemplate: whiskers.map(({ row }) => `${aboutInterval(table, row)}<extra></extra>`),
      },
      ...others.map((name, n) => ({
        type: "scatter", mode: "markers", name: safe(name), y: places.map((place) => place + under), cliponaxis: false,
        x: series(name).map((row) => (row === undefined ? null : table.at("accuracy", row))),
        text: rungs, marker: { symbol: SYMBOLS[(n + 2) % 8], size: 9, color: colours.series[(n + 1) % 8] },
        hovertemplate: `${safe(name)}<br>%{text}: %{x:.2f} %<extra></extra>`,
      })),
    ];
    const top = others.length ? (few(width) ? 24 * others.length + 14 : 40) : 14;
    return {
      traces, rows,
      layout: layout(colours, top + 60 + 50 * rungs.length, {
        barmode: "stack", showlegend: others.length > 0, margin: { l: 10, r: 10, t: top, b: 46 }, annotations: numbers,
        xaxis: { range: [0, end[1]], title: { text: "accuracy, % of wells" }, tickvals: [0, 25, 50, 75, 100] },
        yaxis: { range: [rungs.length - 0.45, -0.4], showgrid: false, tickfont: { color: colours.ink }, tickvals: places, ticktext: rungs.map(safe) },
      }),
    };
  },
};

// The whiskers of a Plotly trace from the columns low and high of some rows; rows without them have none.
function interval(table, rows, colour) {
  const off = (name, sign) => rows.map((row) => (table.at(name, row) === null ? 0 : Math.max(0, sign * (table.at(name, row) - table.at("accuracy", row)))));
  return { type: "data", symmetric: false, array: off("high", 1), arrayminus: off("low", -1), color: colour, thickness: 1.3, width: 4 };
}

function aboutInterval(table, row) {
  const [low, high, unit, count] = ["low", "high", "unit", "clusters"].map((name) => table.at(name, row));
  return low === null ? "" : `95 % interval ${low.toFixed(1)} to ${high.toFixed(1)}, of ${count} ${safe(unit)}s`;
}

// ---- by cell type, experiment and plate

const parts = {
  picks(table, given) {
    const steps = table.unique("rung"), levels = Object.keys(given.levels);
    return [
      { name: "level", label: "Show", value: levels.includes("experiment") ? "experiment" : levels[0], values: levels.map((value) => ({ value, text: given.levels[value] })) },
      { name: "predictions", label: "Predictions", values: options(table.unique("predictions")) },
      { name: "rung", label: "Step", value: steps.at(-1), values: options(steps) },
    ];
  },
  draw(table, pick, colours, given, width) {
    const rows = table.where((row) => table.at("scope", row) === pick.level && table.at("rung", row) === pick.rung && table.at("predictions", row) === pick.predictions);
    if (pick.level === "plate") return { ...partPlates(table, rows, colours, width, given.plates), rows };
    const kind = (row) => (pick.level === "cell_type" ? table.at("value", row) : given.cell_types[table.at("value", row)] ?? "");
    rows.sort((a, b) => byName(kind(a), kind(b)) || byName(table.at("value", a), table.at("value", b)));
    const kinds = [...new Set(rows.map(kind))], hues = palette(colours, kinds.length);
    const everyone = table.where((row) => table.at("scope", row) === "all" && table.at("rung", row) === pick.rung && table.at("predictions", row) === pick.predictions)[0];
    const traces = kinds.map((name, n) => {
      const own = rows.filter((row) => kind(row) === name);
      return {
        type: "scatter", mode: "markers", name: safe(name), x: own.map((row) => table.at("accuracy", row)), y: own.map((row) => safe(table.at("value", row))),
        error_x: interval(table, own, hues[n % hues.length]), cliponaxis: false,
        customdata: own.map((row) => [table.at("n_wells", row), aboutInterval(table, row)]), hovertemplate: "%{y}: %{x:.2f} % of %{customdata[0]:,} wells<br>%{customdata[1]}<extra></extra>",
        marker: { size: 12, color: hues[n % hues.length], symbol: SYMBOLS[n % 8] },
      };
    });
    traces.push({ // beside the whisker
      type: "scatter", mode: "text", x: rows.map((row) => table.at("high", row) ?? table.at("accuracy", row)), y: rows.map((row) => safe(table.at("value", row))), hoverinfo: "skip", cliponaxis: false,
      text: rows.map((row) => `\u00a0\u00a0${table.at("accuracy", row).toFixed(1)}`), textposition: "middle right", textfont: { color: colours.quiet, size: 12 },
    });
    const overall = everyone === undefined ? null : table.at("accuracy", everyone);
    return {
      traces, rows,
      layout: layout(colours, 100 + Math.max(24 * rows.length, 60), {
        margin: { l: 10, r: 50, t: 34, b: 46 },
        xaxis: { range: [0, 102], title: { text: "accuracy, % of wells" }, tickvals: [0, 25, 50, 75, 100] },
        yaxis: { autorange: "reversed", type: "category", categoryorder: "array", categoryarray: rows.map((row) => safe(table.at("value", row))), tickfont: { color: colours.ink } },
        shapes: overall === null ? [] : [{ type: "line", x0: overall, x1: overall, yref: "paper", y0: 0, y1: 1, line: { color: colours.quiet, width: 1, dash: "dot" } }],
        annotations: overall === null ? [] : [{ x: overall, xanchor: overall > 60 ? "right" : "left", yref: "paper", y: 1, yanchor: "bottom", showarrow: false, text: `all wells ${overall.toFixed(1)} %`, font: { color: colours.quiet, size: 12 } }],
      }),
    };
  },
};

function partPlates(table, rows, colours, width, parts) {
  const split = rows.map((row) => parts[table.at("value", row)]); // experiment, plate
  if (new Set(split.map(([, plate]) => plate)).size > MOST_ACROSS) return plateList(table, rows, colours, split);
  const names = [...new Set(split.map(([name]) => name))].sort(byName), plates = [...new Set(split.map(([, plate]) => plate))].sort(byName);
  const z = names.map(() => plates.map(() => null));
  split.forEach(([name, plate], n) => { z[names.indexOf(name)][plates.indexOf(plate)] = table.at("accuracy", rows[n]); });
  return {
    traces: [{
      type: "heatmap", z, x: plates.map((plate) => safe(`plate ${plate}`)), y: names.map(safe), xgap: 3, ygap: 3, zmin: 0, zmax: 100, colorscale: "Cividis",
      texttemplate: "%{z:.0f}", hoverongaps: false, hovertemplate: "%{y}, %{x}: %{z:.1f} %<extra></extra>", colorbar: bar(colours, "%", width),
    }],
    layout: layout(colours, 80 + 24 * names.length, {
      margin: { l: 10, r: 20, t: 30, b: 14 }, xaxis: { side: "top", showgrid: false, type: "category" },
      yaxis: { autorange: "reversed", showgrid: false, type: "category", tickfont: { color: colours.ink } },
    }),
  };
}

const MOST_ACROSS = 12; // plates side by side

// Plates with names of their own, a line each.
function plateList(table, rows, colours, split) {
  const names = split.map(([name, plate]) => (new Set(split.map(([other]) => other)).size > 1 ? `${name} ${plate}` : plate));
  const order = rows.map((_, n) => n).sort((a, b) => byName(names[a], names[b])), own = order.map((n) => table.at("accuracy", rows[n]));
  return {
    traces: [{
      type: "scatter", mode: "markers+text", x: own, y: order.map((_, n) => n), text: own.map((value) => value.toFixed(1)), textposition: "middle right", textfont: { color: colours.quiet, size: 12 },
      cliponaxis: false, marker: { size: 11, color: colours.series[0] }, customdata: order.map((n) => [safe(names[n]), table.at("n_wells", rows[n])]), hovertemplate: "%{customdata[0]}: %{x:.2f} % of %{customdata[1]:,} wells<extra></extra>",
    }],
    layout: layout(colours, 80 + 22 * rows.length, {
      margin: { l: 10, r: 50, t: 14, b: 46 }, xaxis: { range: [0, 102], title: { text: "accuracy, % of wells" }, tickvals: [0, 25, 50, 75, 100] },
      yaxis: { range: [rows.length - 0.4, -0.6], tickvals: order.map((_, n) => n), ticktext: order.map((n) => safe(middle(names[n], 30))), tickfont: { color: colours.ink } },
    }),
  };
}

function bar(colours, title, width) {
  return { title: { text: title, font: { color: colours.quiet, size: 12 } }, thickness: few(width) ? 8 : 12, outlinewidth: 0, tickfont: { color: colours.quiet, size: 11 }, len: 0.9 };
}

// ---- plates

const plates = {
  picks(table, given) {
    const rows = table.where((row) => row === 0 || table.at("experiment", row) !== table.at("experiment", row - 1));
    const kind = (row) => ["cell_type", "split"].filter((name) => table.unique(name).length > 1).map((name) => table.at(name, row)).join(", ") || undefined;
    const answered = rows.map((row) => ({ value: table.at("experiment", row), under: kind(row) }));
    answered.sort((a, b) => byName(a.under ?? "", b.under ?? "") || byName(a.value, b.value));
    const numbers = table.unique("plate").sort(byName), wanted = answered.length === 1 || numbers.length <= MOST_ACROSS; // names that all experiments have
    const right = table.where((row) => table.at("right", row) !== null), first = right.length ? table.at("experiment", right[0]) : answered[0].value;
    return [
      { name: "measure", label: "Colour", values: Object.entries(given.measures).map(([value, text]) => ({ value, text })) },
      { name: "experiment", label: "Experiment", value: first, values: answered },
      { name: "plate", label: "Plate", value: "", values: wanted && numbers.length > 1 ? [{ value: "", text: "all" }, ...options(numbers)] : [] },
    ];
  },
  draw(table, pick, colours, given, width) {
    const rows = table.where((row) => table.at("experiment", row) === pick.experiment && (!pick.plate || String(table.at("plate", row)) === pick.plate));
    const names = table.unique("plate", rows).sort(byName), across = few(width) || names.length < 2 ? 1 : 2, down = Math.max(1, Math.ceil(names.length / across));
    const range = spread(rows.map((row) => table.at(pick.measure, row)));
    const beside = pick.measure === "right" ? 6 : few(width) ? 44 : 70;
    const left = 26, gap = 46, panel = (width - 8 - across * left - (across - 1) * 14 - beside) / across;
    const square = Math.min(panel / given.columns, WIDEST_WELL * (few(width) ? 0.7 : 1)), tall = square * given.rows, high = down * (tall + gap) + 10;
    const made = layout(colours, high + (pick.measure === "right" ? 34 : 6), { margin: { l: 4, r: beside, t: 0, b: pick.measure === "right" ? 34 : 6 }, showlegend: false, annotations: [], plot_bgcolor: colours.blank });
    const usable = width - 4 - beside, last = (across - 1) * (panel + left + 14) + left + square * given.columns, right = Math.min(1, last / usable) + 0.01;
    const traces = names.map((name, n) => {
      const id = n ? String(n + 1) : "", column = n % across, line = Math.floor(n / across);
      const x0 = (column * (panel + left + 14) + left) / usable, y1 = 1 - (line * (tall + gap) + gap - 8) / high;
      made[`xaxis${id}`] = plateAxis(colours, [x0, Math.min(1, x0 + (square * given.columns) / usable)], given.columns, columnName(given), square, `y${id}`, "top");
      made[`yaxis${id}`] = { ...plateAxis(colours, [Math.max(0, y1 - tall / high), y1], given.rows, rowName(given), square, `x${id}`, "left"), autorange: "reversed" };
      const own = rows.filter((row) => table.at("plate", row) === name);
      made.annotations.push({ text: `<b>Plate ${safe(name)}</b>  ${verdict(table, own)}`, xref: "paper", yref: "paper", x: x0, y: y1 + 21 / high, xanchor: "left", yanchor: "bottom", showarrow: false, font: { size: 13 } });
      return { ...plateTrace(table, own, pick.measure, colours, given, range), xaxis: `x${id}`, yaxis: `y${id}` };
    });
    if (pick.measure === "right") {
      const seen = new Set(traces.flatMap((trace) => trace.z.flat()));
      const kinds = [[1, colours.series[0], "right"], [0, colours.series[1], "wrong"], [2, colours.series[6], "control"], [3, colours.line, "no answer"]].filter(([value]) => seen.has(value));
      const note = kinds.map(([, colour, text]) => `<span style="color:${colour}">■</span> ${text}`).join("   ");
      made.annotations.push({ text: note, xref: "paper", yref: "paper", x: 0, y: 0, yshift: -28, xanchor: "left", yanchor: "bottom", showarrow: false, font: { size: 13 } });
    } else if (traces.length) traces[0].showscale = true;
    if (traces.length && pick.measure !== "right") traces[0].colorbar = { ...bar(colours, "", width), x: right };
    return { traces, layout: made, rows };
  },
};

const WIDEST_WELL = 44; // px, on a plate of few wells
const columnName = (given) => (k) => String(Number(given.wells[k].match(/\d+$/)[0]));
const rowName = (given) => (k) => given.wells[k * given.columns].replace(/\d+$/, "");

function plateAxis(colours, domain, count, name, square, anchor, side) {
  const every = square > 15 ? 1 : count > 24 ? 4 : 2, places = Array.from({ length: count }, (_, n) => n).filter((n) => n % every === 0);
  return {
    domain, anchor, side, range: [-0.5, count - 0.5], tickvals: places, ticktext: places.map(name), tickfont: { size: 10, color: colours.quiet },
    showgrid: false, zeroline: false, fixedrange: true, ticks: "", automargin: false, ticklabelstandoff: 0,
  };
}

// The least and the largest value, without the outermost hundredth on either side of many.
function spread(values) {
  const known = values.filter((value) => value !== null).sort((a, b) => a - b), off = Math.floor(known.length / 100);
  return known.length ? [known[off], known[known.length - 1 - off]] : [0, 1];
}

function verdict(table, rows) {
  const known = rows.map((row) => table.at("right", row)).filter((value) => value !== null);
  return known.length ? `${percent(100 * mean(known))} % of ${known.length} right` : "";
}

function plateTrace(table, rows, measure, colours, given, range) {
  const grid = () => Array.from({ length: given.rows }, () => Array(given.columns).fill(null));
  const z = grid(), text = grid(), place = new Map(given.wells.map((well, n) => [well, n]));
  for (const row of rows) {
    const n = place.get(table.at("well", row)), line = Math.floor(n / given.columns), column = n % given.columns;
    const control = table.at("well_type", row) !== "treatment", value = table.at(measure, row);
    z[line][column] = measure !== "right" ? value : value ?? (control ? 2 : 3);
    text[line][column] = aboutWell(table, row, measure, control);
  }
  const discrete = [colours.series[1], colours.series[0], colours.series[6], colours.line];
  const scale = discrete.flatMap((colour, n) => [[n / 4, colour], [(n + 1) / 4, colour]]);
  const kind = measure === "right" ? { zmin: -0.5, zmax: 3.5, colorscale: scale } : { zmin: range[0], zmax: range[1], colorscale: "Cividis" };
  return { type: "heatmap", z, text, ...kind, xgap: 1, ygap: 1, showscale: false, hoverongaps: false, hovertemplate: "%{text}<extra></extra>" };
}

function aboutWell(table, row, measure, control) {
  const lines = [`<b>${safe(table.at("well", row))}</b>${control ? " control" : ""}`];
  if (table.at("truth", row)) lines.push(`is ${safe(table.at("truth", row))}`);
  if (table.at("answer", row)) lines.push(`answer ${safe(table.at("answer", row))}, confidence ${shown(table.at("confidence", row))}`);
  if (!["right", "confidence"].includes(measure)) lines.push(`${safe(measure)}: ${shown(table.at(measure, row))}`);
  return lines.join("<br>");
}

// ---- edges

const edges = {
  picks(_, given) {
    return [{ name: "measure", label: "Measure", values: Object.entries(given.measures).map(([value, text]) => ({ value, text })) }];
  },
  draw(table, pick, colours, given, width) {
    const rows = table.where((row) => table.at("measure", row) === pick.measure);
    const place = new Map(given.wells.map((well, n) => [well, n]));
    const z = Array.from({ length: given.rows }, () => Array(given.columns).fill(null)), text = z.map((line) => [...line]);
    const weight = z.map((line) => [...line]);
    for (const row of rows) {
      const n = place.get(table.at("well", row)), line = Math.floor(n / given.columns), column = n % given.columns;
      z[line][column] = table.at("difference", row);
      weight[line][column] = table.at("n_plates", row);
      text[line][column] = `<b>${safe(table.at("well", row))}</b><br>${shown(z[line][column])} on ${weight[line][column]} plates`;
    }
    const [low, high] = spread(z.flat()), most = Math.max(Math.abs(low), Math.abs(high)) || 1;
    const side = few(width) ? 0 : 120, space = few(width) ? 60 : 84, square = Math.min((width - 34 - side - space) / given.columns, WIDEST_WELL), panel = square * given.columns, tall = square * given.rows;
    const bottom = few(width) ? 0 : 96, height = tall + bottom + 44, usable = width - 4 - space, share = (pixels) => pixels / usable;
    const middle = [share(30), share(30 + panel)];
    const made = layout(colours, height, {
      margin: { l: 4, r: space, t: 26, b: 18 }, plot_bgcolor: colours.blank,
      xaxis: plateAxis(colours, middle, given.columns, columnName(given), square, "y", "top"),
      yaxis: { ...plateAxis(colours, [1 - tall / (height - 44), 1], given.rows, rowName(given), square, "x", "left"), autorange: "reversed" },
    });
    const good = ["right", "confidence"].includes(pick.measure); // more of it is blue, as on the plates
    const shades = good ? { ...colours, low: colours.high, high: colours.low } : colours;
    const traces = [{
      type: "heatmap", z, text, zmin: -most, zmax: most, colorscale: [[0, shades.low], [0.5, colours.middle], [1, shades.high]], xgap: 1, ygap: 1,
      hoverongaps: false, hovertemplate: "%{text}<extra></extra>", colorbar: { ...bar(colours, "", width), x: Math.min(1, share(30 + panel + side)) + 0.015 },
    }];
    if (!few(width)) addProfiles(traces, made, shades, given, [z, weight], { middle, side: share(side), low: 1 - (tall + bottom) / (height - 44), high: 1 - (tall + 10) / (height - 44) });
    return { traces, layout: made, rows };
  },
};

// Means of rows and of columns beside a plate: an edge stands out there first.
function addProfiles(traces, made, colours, given, [z, weight], place) {
  const average = (cells) => {
    const known = cells.filter(([value]) => value !== null), total = known.reduce((sum, [, n]) => sum + n, 0);
    return total ? known.reduce((sum, [value, n]) => sum + value * n, 0) / total : null;
  };
  const lines = z.map((line, r) => average(line.map((value, c) => [value, weight[r][c]])));
  const columns = Array.from({ length: given.columns }, (_, c) => average(z.map((line, r) => [line[c], weight[r][c]])));
  const most = 1.1 * Math.max(...[...lines, ...columns].map((value) => Math.abs(value ?? 0))) || 1;
  const fill = (values) => values.map((value) => ((value ?? 0) < 0 ? colours.low : colours.high));
  traces.push(
    { type: "bar", orientation: "h", x: lines, y: lines.map((_, n) => n), xaxis: "x2", yaxis: "y2", marker: { color: fill(lines) }, hovertemplate: "row mean %{x:.3g}<extra></extra>" },
    { type: "bar", x: columns.map((_, n) => n), y: columns, xaxis: "x3", yaxis: "y3", marker: { color: fill(columns) }, hovertemplate: "column mean %{y:.3g}<extra></extra>" },
  );
  const axis = { showgrid: true, gridcolor: colours.line, zeroline: true, zerolinecolor: colours.quiet, fixedrange: true, tickfont: { size: 10, color: colours.quiet }, nticks: 4 };
  made.xaxis2 = { ...axis, domain: [place.middle[1] + 0.012, place.middle[1] + place.side], range: [-most, most], anchor: "y2", side: "top" };
  made.yaxis2 = { domain: made.yaxis.domain, range: [given.rows - 0.5, -0.5], showticklabels: false, showgrid: false, zeroline: false, anchor: "x2", fixedrange: true };
  made.xaxis3 = { domain: place.middle, range: [-0.5, given.columns - 0.5], showticklabels: false, showgrid: false, zeroline: false, anchor: "y3", fixedrange: true };
  made.yaxis3 = { ...axis, domain: [Math.max(0, place.low), place.high], range: [-most, most], anchor: "x3" };
  made.bargap = 0.15;
}

// ---- plate groups

const VERDICTS = ["right", "wrong", "not known"];

const groups = {
  picks(table) { return [{ name: "predictions", label: "Predictions", values: options(table.unique("predictions")) }]; },
  draw(table, pick, colours, given) {
    const rows = table.where((row) => table.at("predictions", row) === pick.predictions), names = table.unique("experiment", rows).sort(byName);
    const least = 0.1, plates = table.unique("plate", rows).sort(byName), hues = [colours.series[0], colours.series[1], colours.series[6]];
    const traces = VERDICTS.map((name, n) => {
      const own = rows.filter((row) => table.at("verdict", row) === name && table.at("margin", row) !== null);
      return {
        type: "scatter", mode: "markers", name: name === "not known" ? "truth not known" : `group ${name}`, x: own.map((row) => Math.max(least, table.at("margin", row))),
        y: own.map((row) => names.indexOf(table.at("experiment", row)) + (0.55 * (plates.indexOf(table.at("plate", row)) + 0.5)) / plates.length - 0.275),
        customdata: own.map((row) => [safe(`${table.at("experiment", row)} plate ${table.at("plate", row)}`), table.at("group", row), shown(table.at("margin", row))]),
        hovertemplate: "%{customdata[0]}: group %{customdata[1]}, margin %{customdata[2]} nats<extra></extra>",
        marker: { size: names.length > 12 ? 7 : 9, symbol: ["circle", "x", "diamond"][n], color: hues[n], opacity: 0.85, line: { color: colours.panel, width: 1 } },
      };
    }).filter((trace) => trace.x.length);
    const known = rows.map((row) => table.at("margin", row)).filter((value) => value !== null);
    const most = Math.max(10 * given.unsure, ...known), end = Math.log10(1.4 * most), line = Math.log10(given.unsure);
    const start = Math.min(line - 0.5, Math.log10(Math.max(least, 0.8 * Math.min(most, ...known))));
    return {
      traces, rows,
      layout: layout(colours, 110 + Math.max(100, 32 * names.length), {
        showlegend: traces.length > 1, margin: { l: 10, r: 24, t: traces.length > 1 ? 50 : 26, b: 46 },
        xaxis: { type: "log", range: [start, end], title: { text: "margin, nats (logarithmic)" }, tickvals: [0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000, 1e5, 1e6] },
        yaxis: { tickvals: names.map((_, n) => n), ticktext: names.map(safe), range: [names.length - 0.4, -0.6], tickfont: { color: colours.ink } },
        shapes: [{ type: "line", x0: given.unsure, x1: given.unsure, yref: "paper", y0: 0, y1: 1, line: { color: colours.series[1], width: 1.5, dash: "dash" } }],
        annotations: [{ x: line, xanchor: "left", yref: "paper", y: 1, yanchor: "bottom", showarrow: false, text: "unsure left of here", font: { color: colours.series[1], size: 12 } }],
      }),
    };
  },
};

// ---- confidence

const reliability = {
  picks(table) { return [{ name: "predictions", label: "Predictions", values: options(table.unique("predictions")) }]; },
  draw(table, pick, colours, _, width) {
    const rows = table.where((row) => table.at("predictions", row) === pick.predictions), of = (name, by = 1) => rows.map((row) => by * table.at(name, row));
    const bins = { x: rows.map((row) => 50 * (table.at("low", row) + table.at("high", row))), width: rows.map((row) => 94 * (table.at("high", row) - table.at("low", row))) };
    const axis = { range: [0, 100], tickvals: [0, 25, 50, 75, 100] }, side = Math.min(520, width);
    return {
      traces: [
        { type: "scatter", mode: "lines", x: [0, 100], y: [0, 100], line: { color: colours.quiet, dash: "dot", width: 1.5 }, hoverinfo: "skip" },
        {
          type: "scatter", mode: "lines+markers", x: of("confidence", 100), y: of("accuracy", 100), customdata: of("count"), cliponaxis: false,
          line: { color: colours.series[0], width: 2 }, marker: { size: 9, color: colours.series[0] }, hovertemplate: "confidence %{x:.1f} %<br>right %{y:.1f} % of %{customdata:,} wells<extra></extra>",
        },
        { type: "bar", ...bins, y: of("count"), yaxis: "y2", marker: { color: colours.pale }, hovertemplate: "%{y:,} wells<extra></extra>" },
      ],
      rows,
      layout: layout(colours, 0.95 * side + 60, {
        xaxis: { ...axis, title: { text: "confidence of the answer, %" }, anchor: "y2" }, yaxis: { ...axis, title: { text: "right, %" }, domain: [0.3, 1] },
        yaxis2: { title: { text: "wells" }, domain: [0, 0.22], nticks: 4, rangemode: "tozero" },
        annotations: [{ x: 9, y: 9, text: "confidence = accuracy", showarrow: false, yshift: -12, xanchor: "left", font: { color: colours.quiet, size: 12 } }],
      }),
    };
  },
};

// ---- confusions

const MOST_LABELS = 24;

const confusions = {
  picks(table) { return [{ name: "group", label: "Treatment group", values: table.unique("group").sort((a, b) => a - b).map((n) => ({ value: String(n), text: `group ${n}` })) }]; },
  draw(table, pick, colours, given, width) {
    const rows = table.where((row) => String(table.at("group", row)) === pick.group), seen = new Map();
    for (const row of rows) for (const name of ["truth", "answer"]) seen.set(table.at(name, row), (seen.get(table.at(name, row)) ?? 0) + table.at("wells", row));
    const names = [...seen].sort((a, b) => b[1] - a[1]).slice(0, few(width) ? 12 : MOST_LABELS).map(([name]) => name).sort(byName);
    const z = names.map(() => names.map(() => null)), text = names.map(() => names.map(() => ""));
    for (const row of rows) {
      const line = names.indexOf(table.at("truth", row)), column = names.indexOf(table.at("answer", row));
      if (line < 0 || column < 0) continue;
      z[line][column] = table.at("wells", row);
      text[line][column] = `${safe(table.at("truth", row))} answered as ${safe(table.at("answer", row))}:<br>${table.at("wells", row)} of its ${table.at("of", row)} wells`;
    }
    const cut = names.map((name) => middle(String(name), few(width) ? 10 : 16)), labels = cut.map(safe);
    const longest = 7 * Math.max(4, ...cut.map((name) => name.length)), left = 36 + longest; // px, at the ticks' size
    const side = Math.min(width - left - 80, Math.max(200, 40 * names.length)), slanted = longest > side / names.length - 6;
    const most = Math.max(1, ...z.flat().map((value) => value ?? 0)), whole = most < 6 ? { dtick: 1 } : {};
    return {
      traces: [{
        type: "heatmap", z, text, x: names.map((_, n) => n), y: names.map((_, n) => n), xgap: 2, ygap: 2, zmin: 0, zmax: most, colorscale: [[0, colours.blank], [1, colours.series[1]]],
        hoverongaps: false, hovertemplate: "%{text}<extra></extra>", ...(side / names.length > 22 ? { texttemplate: "%{z}" } : {}), colorbar: { ...bar(colours, "wells", width), ...whole },
      }],
      rows,
      layout: layout(colours, side + 74 + (slanted ? longest : 16), {
        margin: { l: left, r: Math.max(60, width - side - left), t: 60 + (slanted ? longest : 16), b: 14 }, plot_bgcolor: colours.blank,
        xaxis: { side: "top", tickvals: names.map((_, n) => n), ticktext: labels, showgrid: false, title: { text: "answered as" }, tickangle: slanted ? -60 : 0 },
        yaxis: { autorange: "reversed", tickvals: names.map((_, n) => n), ticktext: labels, showgrid: false, title: { text: safe(given.label) }, automargin: false },
      }),
    };
  },
};

// ---- channels

const channels = {
  picks(table) { return [{ name: "scope", label: "Wells of", values: cellTypes(table.unique("cell_type")) }]; },
  draw(table, pick, colours, _, width) {
    const rows = table.where((row) => table.at("cell_type", row) === pick.scope), values = rows.map((row) => table.at("lost", row));
    return {
      traces: [{
        type: "scatter", mode: "markers", x: values, y: rows.map((row) => safe(table.at("channel", row))), error_x: { type: "data", array: rows.map((row) => table.at("spread", row) ?? 0), color: colours.series[0], thickness: 1.5, width: 5 },
        customdata: rows.map((row) => [shown(table.at("accuracy_with", row)), shown(table.at("accuracy_without", row)), table.at("n_wells", row)]),
        hovertemplate: "%{y}: %{x:+.2f} points<br>with it %{customdata[0]} %, without %{customdata[1]} %, %{customdata[2]:,} wells<extra></extra>", marker: { size: 13, color: colours.series[0] },
      }],
      rows,
      layout: layout(colours, 90 + 40 * Math.max(2, rows.length), {
        xaxis: { title: { text: few(width) ? "points lost without it" : "accuracy lost without the channel, points" }, zeroline: true, zerolinecolor: colours.quiet },
        yaxis: { type: "category", autorange: "reversed", tickfont: { color: colours.ink } },
      }),
    };
  },
};

// ---- the map of embeddings

const COLOURS = { cell_type: "cell type", experiment: "experiment", plate: "plate", split: "split", group: "plate group", label: "label" };

const map = {
  picks(table, given) {
    const titles = { ...COLOURS, label: given.label }, told = Object.keys(COLOURS).filter((name) => table.unique(name).length > 1);
    return [
      { name: "colour", label: "Colour", value: told.length ? undefined : "label", values: told.map((value) => ({ value, text: titles[value] })) },
      { name: "only", label: "Highlight", value: "", values: [{ value: "", text: "all" }, ...told.flatMap((name) => table.unique(name).filter((v) => v !== "").sort(byName).map((v) => ({ value: `${name}\n${v}`, text: String(v), under: titles[name] })))] },
    ];
  },
  draw(table, pick, colours, _, width) {
    const across = few(width) ? 1 : 2, names = table.unique(pick.colour).sort(byName), hues = palette(colours, names.length);
    const only = pick.only.split("\n"), stressed = (row) => !pick.only || String(table.at(only[0], row)) === only[1];
    const legend = names.length <= 16, long = Math.max(...names.map((name) => String(name || "unknown").length));
    const top = legend ? 30 + 22 * (Math.ceil((names.length * (44 + 7.5 * long)) / width) - 1) : 24;
    const high = across === 2 ? (width - 30) / 2 : 2 * (width - 10) + 30;
    const axis = { range: [-1.06, 1.06], showgrid: false, showticklabels: false, showline: true, mirror: true, linecolor: colours.line, automargin: false };
    const made = layout(colours, high + top + 12, {
      showlegend: legend, legend: { orientation: "h", x: 0, y: 1 + 24 / high, yanchor: "bottom", itemsizing: "constant" }, margin: { l: 2, r: 2, t: top + 24, b: 4 },
      xaxis: { ...axis, domain: across === 2 ? [0, 0.49] : [0, 1] }, yaxis: { ...axis, domain: across === 2 ? [0, 1] : [0.52, 1] },
      xaxis2: { ...axis, domain: across === 2 ? [0.51, 1] : [0, 1], anchor: "y2" }, yaxis2: { ...axis, domain: across === 2 ? [0, 1] : [0, 0.47], anchor: "x2" },
      annotations: ["raw", "plate means subtracted"].map((text, n) => ({ text: `<b>${text}</b>`, xref: `x${n ? 2 : ""} domain`, yref: `y${n ? 2 : ""} domain`, x: 0, y: 1, xanchor: "left", yanchor: "bottom", showarrow: false })),
    });
    const traces = names.flatMap((name, n) => ["before", "after"].map((state, panel) => {
      const own = table.where((row) => table.at(pick.colour, row) === name);
      return {
        type: "scatter", mode: "markers", name: safe(name === "" ? "unknown" : name), legendgroup: String(n), showlegend: legend && !panel,
        x: own.map((row) => table.at(`x ${state}`, row)), y: own.map((row) => table.at(`y ${state}`, row)), xaxis: panel ? "x2" : "x", yaxis: panel ? "y2" : "y",
        text: own.map((row) => `${safe(table.at("id_code", row))}<br>${safe(table.at("label", row))}`), hovertemplate: "%{text}<extra></extra>",
        marker: {
          symbol: SYMBOLS[n % 8], color: name === "" ? colours.series[6] : hues[n % hues.length], opacity: own.map((row) => (stressed(row) ? 0.9 : 0.1)),
          size: own.map((row) => (pick.only && stressed(row) ? 11 : table.rows > 800 ? 5 : 7)), line: { width: 0 },
        },
      };
    }));
    return { traces, layout: made, rows: table.where(stressed) };
  },
};

// ---- controls

const GOOD = { z_prime: 0.5, robust_z_prime: 0.5 };

const controls = {
  picks(table, given) {
    return [
      { name: "measure", label: "Measure", values: Object.entries(given.measures).map(([value, text]) => ({ value, text })) },
      { name: "network", label: "Network", values: options(table.unique("network")) },
    ];
  },
  draw(table, pick, colours, given) {
    const rows = table.where((row) => table.at("network", row) === pick.network && table.at(pick.measure, row) !== null), names = table.unique("experiment", rows).sort(byName);
    const plates = table.unique("plate", rows).sort(byName), line = GOOD[pick.measure], values = rows.map((row) => table.at(pick.measure, row));
    return {
      traces: [{
        type: "scatter", mode: "markers", x: values, y: rows.map((row) => names.indexOf(table.at("experiment", row)) + (0.55 * (plates.indexOf(table.at("plate", row)) + 0.5)) / plates.length - 0.275),
        customdata: rows.map((row) => [safe(`${table.at("experiment", row)} plate ${table.at("plate", row)}`), table.at("n_positive", row), table.at("n_negative", row)]),
        hovertemplate: "%{customdata[0]}: %{x:.2f}<br>%{customdata[1]} positive, %{customdata[2]} negative wells<extra></extra>", marker: { size: 9, color: colours.series[0], line: { color: colours.panel, width: 1 } },
      }],
      rows,
      layout: layout(colours, 110 + Math.max(60, 30 * names.length), {
        xaxis: { title: { text: safe(given.measures[pick.measure]) }, zeroline: true, zerolinecolor: colours.quiet, ...(line === undefined ? {} : { range: [Math.max(-3, Math.min(-0.2, ...values) - 0.1), 1.05] }) },
        yaxis: { tickvals: names.map((_, n) => n), ticktext: names.map(safe), range: [names.length - 0.4, -0.6], tickfont: { color: colours.ink } },
        shapes: line === undefined ? [] : [{ type: "line", x0: line, x1: line, yref: "paper", y0: 0, y1: 1, line: { color: colours.series[2], width: 1.5, dash: "dash" } }],
      }),
    };
  },
};

// ---- trainings

const KEYS = ["run", "stage", "channels", "fold", "model"];
const METRICS = { top1: "top-1 accuracy, 0 to 1", top3: "top-3 accuracy, 0 to 1", map3: "MAP@3, 0 to 1", lr: "learning rate", valid_loss: "loss, held-out", train_loss: "loss, training" };
const metricName = (name) => {
  const [metric, ...scope] = name.split(" ");
  return [METRICS[metric] ?? metric, ...(scope.length ? [scope.join(" ")] : [])].join(", ");
};
const LOSSES = "loss, training (dotted) and held-out";

const curves = {
  picks(table) {
    const metrics = table.names.filter((name) => !KEYS.includes(name) && name !== "epoch" && name !== "seconds");
    const both = metrics.includes("train_loss") && metrics.includes("valid_loss") ? [LOSSES] : [];
    const groupings = KEYS.slice(1).filter((name) => table.unique(name).length > 1);
    return [
      { name: "metric", label: "Metric", value: metrics.includes("top1") ? "top1" : undefined, values: [...metrics.filter((name) => !name.endsWith("_loss")), ...both, ...metrics.filter((name) => name.endsWith("_loss"))].map((value) => ({ value, text: metricName(value) })) },
      { name: "x", label: "Against", values: options(["epoch", ...(table.names.includes("seconds") ? ["seconds"] : [])]) },
      { name: "by", label: "Colour", values: options(groupings.length ? [...groupings, "run"] : ["run"]) },
      { name: "runs", label: "Runs", many: true, values: table.unique("run") },
    ];
  },
  draw(table, pick, colours, _, width) {
    const by = pick.by, names = table.unique(by), hues = palette(colours, names.length), seen = new Set();
    const rows = table.where((row) => pick.runs.has(table.at("run", row)));
    const lines = pick.metric === LOSSES ? ["valid_loss", "train_loss"] : [pick.metric];
    const traces = table.unique("run", rows).flatMap((run) => lines.map((metric) => {
      const own = rows.filter((row) => table.at("run", row) === run), name = table.at(by, own[0]), n = names.indexOf(name), first = !seen.has(name);
      seen.add(name);
      return {
        type: "scatter", mode: own.length > 40 ? "lines" : "lines+markers", name: safe(name), legendgroup: String(n), showlegend: first,
        x: own.map((row) => table.at(pick.x, row)), y: own.map((row) => table.at(metric, row)),
        opacity: pick.runs.size > 20 ? 0.6 : 1, line: { color: hues[n % hues.length], width: pick.runs.size > 20 ? 1 : 2, dash: metric === "train_loss" && lines.length > 1 ? "dot" : "solid" }, marker: { symbol: SYMBOLS[n % 8], size: 6 },
        hovertemplate: `${safe(run)}<br>${pick.x} %{x}: ${safe(metric)} %{y:.4g}<extra></extra>`,
      };
    }));
    const legend = names.length <= 12;
    return {
      traces, rows,
      layout: layout(colours, few(width) ? 340 : 420, {
        showlegend: legend, margin: { l: 10, r: 24, t: legend ? 30 + 22 * Math.floor((names.length * 150) / width) : 16, b: 46 },
        xaxis: { title: { text: pick.x }, rangemode: "tozero" }, yaxis: { title: { text: safe(pick.metric === LOSSES ? "loss" : metricName(pick.metric)) } },
      }),
    };
  },
};

const runs = {
  picks(table) {
    const numbers = table.names.filter((name) => !KEYS.includes(name) && table.column(name).every((value) => value === null || typeof value === "number") && table.column(name).some((value) => value !== null));
    return [{ name: "what", label: "Show", value: numbers.includes("minutes") ? "minutes" : undefined, values: options(numbers) }];
  },
  draw(table, pick, colours, _, width) {
    const stages = table.unique("stage"), names = table.column("run").map((name) => safe(few(width) ? short(name, 30) : name));
    const values = table.column(pick.what);
    return {
      traces: stages.map((stage, n) => {
        const own = table.where((row) => table.at("stage", row) === stage);
        return {
          type: "bar", orientation: "h", name: safe(stage), x: own.map((row) => values[row]), y: own, marker: { color: colours.series[n % 8] }, text: own.map((row) => (values[row] === null ? "" : shown(Number(values[row].toPrecision(3))))),
          textposition: "outside", cliponaxis: false, textangle: 0, hovertemplate: own.map((row) => `${safe(table.at("run", row))}: ${shown(values[row])}, ${safe(table.at("status", row))}<extra></extra>`),
        };
      }),
      rows: table.all(),
      layout: layout(colours, 90 + 24 * table.rows, {
        barmode: "overlay", bargap: 0.35, margin: { l: 10, r: 54, t: 14, b: 46 }, xaxis: { title: { text: safe(pick.what) }, rangemode: "tozero" },
        yaxis: { autorange: "reversed", tickvals: table.all(), ticktext: names, showgrid: false, tickfont: { color: colours.ink, size: 12 } },
      }),
    };
  },
};

// ---- the audit

const MOST_PLATES = 40;

const audit = {
  draw(table, _, colours) {
    const total = new Map();
    for (const row of table.all()) total.set(table.at("plate", row), (total.get(table.at("plate", row)) ?? 0) + table.at("images", row));
    const names = [...total].sort((a, b) => b[1] - a[1]).slice(0, MOST_PLATES).map(([name]) => name);
    const rows = table.where((row) => names.includes(table.at("plate", row)));
    return {
      traces: table.unique("kind").map((kind, n) => {
        const own = rows.filter((row) => table.at("kind", row) === kind);
        return { type: "bar", orientation: "h", name: safe(kind), x: own.map((row) => table.at("images", row)), y: own.map((row) => safe(table.at("plate", row))), marker: { color: colours.series[n % 8] }, hovertemplate: `%{y}: %{x:,} ${safe(kind)}<extra></extra>` };
      }),
      rows: table.all(),
      layout: layout(colours, 110 + 24 * names.length, {
        barmode: "stack", bargap: 0.35, showlegend: true, margin: { l: 10, r: 24, t: 36, b: 46 }, xaxis: { title: { text: "bad images" } },
        yaxis: { type: "category", categoryorder: "array", categoryarray: names.map(safe), autorange: "reversed", showgrid: false, tickfont: { color: colours.ink } },
      }),
    };
  },
};

const CHARTS = { ladder, parts, plates, edges, groups, reliability, confusions, channels, map, controls, curves, runs, audit };
