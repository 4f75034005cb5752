// The facts of the well: its treatment, the answer, the most probable treatments, bad images.

import { make, percent } from "./dom.js";
import { inWords } from "./states.js";

const TYPES = { treatment: "treatment", positive_control: "positive control", negative_control: "negative control" };

/** Show the facts of a well in a card. */
export function showFacts(card, well, screen) {
  const rows = [
    [headed(screen.label), well.truth ?? (well.type === "treatment" ? "unknown" : "")],
    ["Answer", well.answer ?? (well.type === "treatment" ? "none" : null)],
    ["Confidence", well.confidence == null ? null : percent(well.confidence)],
    ["Margin", margin(well, screen)],
    ["Well", [TYPES[well.type] ?? well.type, screen.has_tests && well.split, screen.cell_types > 1 && well.cell_type].filter(Boolean).join(", ")],
  ];
  card.replaceChildren(
    make("p", { class: `verdict ${well.state}` }, make("strong", {}, inWords({ ...well, ...well.note, note: well.note?.note }))),
    make("dl", {}, ...rows.filter((row) => row[1]).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
    well.top.length ? probable(well) : "",
    well.bad_images.length ? badImages(well, screen) : "",
  );
}

/** Return a name as a heading: "Compound", but "siRNA". */
const headed = (name) => (name === name.toLowerCase() ? name[0].toUpperCase() + name.slice(1) : name);

function margin(well, screen) {
  if (well.margin == null) return null;
  return `${well.margin.toFixed(1)} nats${well.margin < screen.min_margin ? ` (unsure below ${screen.min_margin})` : ""}`;
}

/** Return the bars of the most probable treatments of the plate's group. */
function probable(well) {
  const rows = well.top.map(({ label, chance, is_answer, is_truth }) => {
    const bar = make("span", { class: "bar-fill" });
    bar.style.width = `${100 * chance}%`;
    const tags = [is_answer && "answer", is_truth && "truth"].filter(Boolean).map((tag) => make("span", { class: `tag ${tag}` }, tag));
    return make("li", {}, make("span", { class: "name" }, label, " ", ...tags), make("span", { class: "bar-box" }, bar), make("span", { class: "number" }, percent(chance)));
  });
  const isElsewhere = well.answer != null && !well.top.some((candidate) => candidate.is_answer);
  const note = isElsewhere ? make("p", { class: "quiet" }, "The answer is none of these: they are more probable in other wells of the plate.") : "";
  return make("div", {}, make("h3", {}, "Most probable answers"), make("ol", { class: "top" }, ...rows), note);
}

function badImages(well, screen) {
  const lines = well.bad_images.map(({ site, channel, kind, detail }) => {
    const name = screen.channels.find(({ number }) => number === channel)?.name ?? `channel ${channel}`;
    return make("li", {}, `site ${site}, ${name}: ${kind}${detail ? ` (${detail})` : ""}`);
  });
  return make("div", {}, make("h3", {}, "Bad images"), make("ul", { class: "bad-images" }, ...lines));
}
