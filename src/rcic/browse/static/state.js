// What is looked at, and how: it lives in the page's address, so that a reload or a copied link shows the same.

const ORDER = ["experiment", "plate", "well", "show", "site", "off", "contrast"];

/** Return the state that an address holds; what it does not say is null, or as at the beginning. */
export function readState(search = location.search) {
  const said = new URLSearchParams(search);
  return {
    experiment: said.get("experiment"),
    plate: said.has("plate") ? Number(said.get("plate")) : null,
    well: said.get("well"),
    show: said.get("show") ?? "all",
    site: said.has("site") ? Number(said.get("site")) : null,
    off: new Set((said.get("off") ?? "").split(",").filter(Boolean).map(Number)),
    contrast: readContrast(said.get("contrast")),
  };
}

/** Write the state into the address; `push` makes the browser's back button come back to what was there before. */
export function writeState(state, push) {
  const values = {
    experiment: state.experiment,
    plate: state.plate,
    well: state.well,
    show: state.show === "all" ? null : state.show,
    site: state.site,
    off: state.off.size ? [...state.off].sort().join(",") : null,
    contrast: state.contrast && [...state.contrast].map(([number, limits]) => [number, ...limits].join("-")).join(","),
  };
  const said = new URLSearchParams(ORDER.filter((key) => values[key] != null).map((key) => [key, values[key]]));
  const address = `${location.pathname}?${said}`;
  if (address === location.pathname + location.search) return;
  history[push ? "pushState" : "replaceState"](null, "", address);
}

/** Return channel -> [black, white] as an address says them ("1-10-200,2-0-255"), null for automatic contrast. */
function readContrast(text) {
  if (!text) return null;
  const parts = text.split(",").map((part) => part.split("-").map(Number));
  const whole = parts.every((part) => part.length === 3 && part.every((n) => Number.isInteger(n) && n >= 0 && n <= 255));
  return whole ? new Map(parts.map(([number, black, white]) => [number, [Math.min(black, 254), Math.max(white, black + 1)]])) : null;
}
