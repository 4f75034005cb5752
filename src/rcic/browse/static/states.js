// What a well can be, in words; its colour is in style.css, its shape in the plate map.

export const STATES = {
  right: "right",
  wrong: "wrong",
  answered: "answered, truth unknown",
  control: "control",
  silent: "no prediction",
};

/** Return what a well is, as words: "wrong, unsure, bad image". */
export function inWords({ state, unsure, bad }) {
  return [STATES[state], unsure && "unsure", bad && "bad image"].filter(Boolean).join(", ");
}
