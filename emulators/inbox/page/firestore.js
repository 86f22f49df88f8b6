// Requests to the Firestore emulator, in its REST form. A path has ids with slashes between
// them: of a collection an odd number, of a document an even one.

// A Fault is an answer that is no success; code is that of Firestore, such as NOT_FOUND.
export class Fault extends Error {
  constructor(status, code, text) {
    super(text);
    Object.assign(this, { status, code });
  }
}

async function call(method, path, body) {
  const init = body === undefined ? { method } : { method, headers: { "Content-Type": "application/json" }, body };
  const answer = await fetch(`firestore/${path}`, init);
  const text = await answer.text();
  let value = null;
  try {
    value = JSON.parse(text);
  } catch { /* no JSON: the status says enough */ }
  if (answer.ok) return value;
  const { error } = (Array.isArray(value) ? value[0] : value) || {}; // methods with a stream answer with a list
  throw new Fault(answer.status, error?.status || "", error?.message || value?.detail || answer.statusText || `HTTP ${answer.status}`);
}

export const idsOf = (path) => path.split("/").filter(Boolean);
export const isDocument = (path) => idsOf(path).length > 0 && idsOf(path).length % 2 === 0;
export const isCollection = (path) => idsOf(path).length % 2 === 1;
export const parentOf = (path) => idsOf(path).slice(0, -1).join("/");
export const lastOf = (path) => idsOf(path).at(-1) || "";

// splitName returns the database and the path of the name of a document or collection.
export function splitName(name) {
  const [, database, path] = /^(projects\/[^/]+\/databases\/[^/]+)(?:\/documents)?\/?(.*)$/s.exec(name) || [null, "", name];
  return { database, path };
}

const encoded = (name) => name.split("/").map(encodeURIComponent).join("/");
const nameOnly = { fields: [{ fieldPath: "__name__" }] };

// A Database reads and writes the documents of one database, "projects/P/databases/D".
export class Database {
  constructor(name) { this.name = name; }

  nameOf(path) { return `${this.name}/documents${path ? `/${path}` : ""}`; }

  pathOf(name) { return splitName(name).path; }

  // collections returns a page of the ids of the collections below a document, "": of the
  // database.
  async collections(path, pageToken = "") {
    const answer = await call("POST", `v1/${encoded(this.nameOf(path))}:listCollectionIds`, JSON.stringify({ pageSize: 300, pageToken }));
    return { ids: answer.collectionIds || [], next: answer.nextPageToken || "" };
  }

  // documents returns a page of a collection without the fields, also of documents that do
  // not exist but have collections.
  async documents(path, pageSize, pageToken = "") {
    const params = new URLSearchParams({ pageSize, pageToken, showMissing: true, "mask.fieldPaths": "__name__" });
    const answer = await call("GET", `v1/${encoded(this.nameOf(path))}?${params}`);
    return { documents: answer.documents || [], next: answer.nextPageToken || "" };
  }

  // beginning returns the documents of a collection whose ids begin with a text, without the
  // fields; after is the name of the last one that is known.
  async beginning(path, text, most, after = "") {
    const reference = (id) => ({ referenceValue: this.nameOf(`${path}/${id}`) });
    const from = after ? { values: [{ referenceValue: after }], before: false } : { values: [reference(text)], before: true };
    const query = { select: nameOnly, from: [{ collectionId: lastOf(path) }], orderBy: [{ field: { fieldPath: "__name__" } }],
      startAt: from, endAt: { values: [reference(`${text}\u{10ffff}`)], before: true }, limit: most };
    const answer = await call("POST", `v1/${encoded(this.nameOf(parentOf(path)))}:runQuery`, JSON.stringify({ structuredQuery: query }));
    return answer.map((a) => a.document).filter(Boolean);
  }

  // existing returns those of the documents that exist.
  async existing(paths, mask) {
    const answer = await call("POST", `v1/${encoded(this.nameOf(""))}:batchGet`, JSON.stringify({ documents: paths.map((p) => this.nameOf(p)), mask }));
    return answer.map((a) => a.found).filter(Boolean);
  }

  // get returns a document, or null. Unlike a GET that is answered 404, this leaves no error
  // in the browser's console.
  async get(path) { return (await this.existing([path])).at(0) || null; }

  // save replaces a document by one in JSON, and remove deletes it, if it was last changed
  // at updateTime.
  save(path, json, updateTime) { return call("PATCH", `v1/${encoded(this.nameOf(path))}?${unchangedSince(updateTime)}`, json); }

  remove(path, updateTime) { return call("DELETE", `v1/${encoded(this.nameOf(path))}?${unchangedSince(updateTime)}`); }
}

const unchangedSince = (updateTime) => new URLSearchParams({ "currentDocument.updateTime": updateTime });

// isConflict reports whether a document was not written because somebody else wrote it.
export const isConflict = (e) => e instanceof Fault && (e.code === "FAILED_PRECONDITION" || e.code === "NOT_FOUND");

// databases returns the names of the databases that have documents.
export const databases = async () => (await call("GET", "emulator/databases")).databases || [];

// requests returns the requests with a number above after, the newest first, and the number
// of the last one.
export const requests = (after) => call("GET", `emulator/requests?after=${after}`);
