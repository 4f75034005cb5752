// Keyboard shortcuts. Keys typed into a slider or a list of choices are left to it.

const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** Call `actions.move(down, right)` and the others by name when their key is pressed. */
export function listen(actions) {
  const named = { n: "after", p: "before", "]": "nextPlate", "[": "previousPlate", s: "nextSite", a: "contrast", z: "enlarge", v: "view", c: "control", f: "flag", "?": "help" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") document.activeElement?.blur();
    if (event.target.closest("select, textarea, input:not([type=range], [type=checkbox])")) return;
    if (event.key in MOVES && event.target.matches("input[type=range]")) return;
    if (event.key in MOVES) actions.move(...MOVES[event.key]);
    else if (/^[1-9]$/.test(event.key)) actions.toggle(Number(event.key));
    else if (event.key === "Enter" && !event.target.closest("button, a, [role=button]")) actions.open();
    else if (named[event.key]) actions[named[event.key]]();
    else return;
    event.preventDefault();
  });
}
