// A well's flag and note, kept in the user's file. A note that was changed elsewhere is never written over unseen.

import { addressOf, writeNote } from "./ask.js";
import { byId, make } from "./dom.js";

const FLAGS = ["out of focus", "debris", "contaminated", "empty", "staining", "other"];

/** The card of flag and note. `written` is called with a well and what is now said of it. */
export class NoteCard {
  constructor(screen, written) {
    Object.assign(this, { screen, written });
    byId("note-card").hidden = !screen.notes;
    byId("flag").addEventListener("change", () => this.#save());
    byId("note").addEventListener("change", () => this.#save());
    byId("note").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); this.#save(); }
    });
  }

  show(well) {
    byId("note-card").hidden = !this.screen.notes;
    this.well = addressOf(well);
    const note = well.note ?? { flag: "", note: "" };
    this.seen = note;
    this.#fill(note);
    byId("note-state").textContent = note.error ?? "";
    byId("flag").disabled = byId("note").disabled = !!note.error;
  }

  #fill({ flag, note }) {
    const flags = flag && !FLAGS.includes(flag) ? [flag, ...FLAGS] : FLAGS;
    const option = (value, text) => make("option", { value, selected: value === flag }, text);
    byId("flag").replaceChildren(option("", "no flag"), ...flags.map((value) => option(value, value)));
    byId("flag").value = flag;
    byId("note").value = note;
  }

  async #save() {
    const { well, seen } = this, flag = byId("flag").value, note = byId("note").value;
    if (flag === seen.flag && note.trim() === seen.note) return;
    byId("note-state").textContent = "saving";
    const found = await writeNote({ ...well, flag, note, seen_flag: seen.flag, seen_note: seen.note });
    if (found.ok) this.written(well, found);
    if (this.well !== well) return;
    if (found.flag !== undefined) this.seen = found;
    const other = [found.flag, found.note].filter(Boolean).join(": ") || "nothing";
    byId("note-state").textContent = found.ok ? "saved" : found.flag === undefined ? found.error : `Changed elsewhere, now “${other}”. Save again to replace it.`;
  }
}
