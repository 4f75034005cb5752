// The state of the page, kept in its address, so that a reload or a copied link shows the same.

const ORDER = ["experiment", "plate", "well", "view", "show", "site", "off", "contrast"];

/** Return the state of an address; absent values are null or the default. */
export function readState(search = location.search) {
  const query = new URLSearchParams(search);
  return {
    experiment: query.get("experiment"),
    plate: query.has("plate") ? Number(query.get("plate")) : null,
    well: query.get("well"),
    view: query.get("view") === "plate" ? "plate" : "well",
    show: query.get("show") ?? "all",
    site: query.has("site") ? Number(query.get("site")) : null,
    off: new Set((query.get("off") ?? "").split(",").filter(Boolean).map(Number)),
    contrast: readContrast(query.get("contrast")),
    each: query.get("contrast") === "well", // without held points: those of each well, else those of the plate
  };
}

/** Write the state into the address; `push` adds an entry to the browser's history. */
export function writeState(state, push) {
  const values = {
    experiment: state.experiment,
    plate: state.plate,
    well: state.well,
    view: state.view === "plate" ? "plate" : null,
    show: state.show === "all" ? null : state.show,
    site: state.site,
    off: state.off.size ? [...state.off].sort().join(",") : null,
    contrast: state.contrast ? [...state.contrast].map(([number, limits]) => [number, ...limits].join("-")).join(",") : state.each ? "well" : null,
  };
  const query = new URLSearchParams(ORDER.filter((key) => values[key] != null).map((key) => [key, values[key]]));
  const address = `${location.pathname}?${query}`;
  if (address === location.pathname + location.search) return;
  history[push ? "pushState" : "replaceState"](null, "", address);
}

/** Return channel -> [black, white] from an address ("1-10-200,2-0-255"), null if none are held. */
function readContrast(text) {
  if (!text) return null;
  const parts = text.split(",").map((part) => part.split("-").map(Number));
  const whole = parts.every((part) => part.length === 3 && part.every((n) => Number.isInteger(n) && n >= 0 && n <= 255));
  return whole ? new Map(parts.map(([number, black, white]) => [number, [Math.min(black, 254), Math.max(white, black + 1)]])) : null;
}
