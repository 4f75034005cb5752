// The texts of well states; the colours are in style.css, the shapes in the plate map.

export const STATES = {
  right: "right",
  wrong: "wrong",
  answered: "answered, truth unknown",
  control: "control",
  silent: "no prediction",
};
export const FLAGGED = "flagged";
export const NOTED = "has a note";

/** Return a well's state as text: "wrong, unsure, bad image". */
export function inWords({ state, unsure, bad, flag, note }) {
  return [STATES[state], unsure && "unsure", bad && "bad image", flag && `flagged: ${flag}`, note && NOTED].filter(Boolean).join(", ");
}
