// Requests to the server. A name of an experiment or well is always a query value, never a part of a path.

/** Return the query values that identify a well. */
export const addressOf = ({ experiment, plate, well }) => ({ experiment, plate, well });

/** Return a plate's title; an experiment that is one plate of its name is named once. */
export const plateTitle = (experiment, name) => (name === experiment ? name : `${experiment}, plate ${name}`);

/** Return whether two wells are the same. */
export const isSame = (well, other) =>
  well.experiment === other.experiment && well.plate === other.plate && well.well === other.well;

/** Write a well's flag and note; return {ok, ...} with what is in the file, or the reason why it is not. */
export async function writeNote(content) {
  const how = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) };
  const answer = await fetch("/api/note", how).catch(() => null);
  if (!answer) return { ok: false, error: "no response: was the program stopped?" };
  return { ok: answer.ok, ...(await answer.json().catch(() => ({ error: `unreadable response (status ${answer.status})` }))) };
}

/** Return the JSON of a response; throw an Error with the server's message if it refuses. */
export async function ask(path, query = {}) {
  const answer = await fetch(`${path}?${new URLSearchParams(query)}`).catch(() => null);
  if (!answer) throw new Error("no response: was the program stopped?");
  const content = await answer.json().catch(() => ({ error: `unreadable response (status ${answer.status})` }));
  if (!answer.ok) throw new Error(content.error);
  return content;
}
