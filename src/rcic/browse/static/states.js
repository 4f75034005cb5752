// The texts of well states; the colours are in style.css, the shapes in the plate map.

export const STATES = {
  right: "right",
  wrong: "wrong",
  answered: "answered, truth unknown",
  control: "control",
  silent: "no prediction",
};

/** Return a well's state as text: "wrong, unsure, bad image". */
export function inWords({ state, unsure, bad }) {
  return [STATES[state], unsure && "unsure", bad && "bad image"].filter(Boolean).join(", ");
}
