// Questions to the server. A name of an experiment or well is always a value of a query, never a part of a path.

/** Return a well's own part of a query. */
export const placeOf = ({ experiment, plate, well }) => ({ experiment, plate, well });

/** Return whether two wells are the same. */
export const isSame = (one, other) =>
  one.experiment === other.experiment && one.plate === other.plate && one.well === other.well;

/** Return the JSON of an answer; an Error with the server's words if it refuses. */
export async function ask(path, query = {}) {
  const answer = await fetch(`${path}?${new URLSearchParams(query)}`).catch(() => null);
  if (!answer) throw new Error("no answer: has the program been ended?");
  const content = await answer.json().catch(() => ({ error: `the answer cannot be read (${answer.status})` }));
  if (!answer.ok) throw new Error(content.error);
  return content;
}
