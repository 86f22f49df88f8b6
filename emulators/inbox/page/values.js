// The fields of a document, by their types. Names and values are only ever text.
import { clip, h, number, plural, said } from "./dom.js";
import { splitName } from "./firestore.js";

const shownText = 400; // characters of a text; the whole by a button
const shownFields = 100; // fields or elements; more by a button
const openFields = 30; // a map or list with more is closed at first

const types = {
  nullValue: "null", booleanValue: "boolean", integerValue: "integer", doubleValue: "double", timestampValue: "timestamp", stringValue: "string",
  bytesValue: "bytes", referenceValue: "reference", geoPointValue: "geo point", arrayValue: "array", mapValue: "map",
};

// kindOf returns the key and the content of a value.
const kindOf = (value) => Object.entries(value || {})[0] || ["", undefined];

// fieldsOf lists fields, [name, value] each. database is where references lead to.
export function fieldsOf(entries, database, depth = 0) {
  const list = h("ul", { class: "fields" });
  let shown = 0;
  const more = h("button", { type: "button", class: "quiet", onclick: () => grow() });
  const last = h("li", {}, more);
  function grow() {
    last.remove();
    list.append(...entries.slice(shown, shown + shownFields).map(([name, value]) => entry(name, value, database, depth)));
    shown += shownFields;
    if (shown >= entries.length) return;
    more.textContent = `Show ${number(Math.min(shownFields, entries.length - shown))} more of ${number(entries.length)}`;
    list.append(last);
  }
  grow();
  return list;
}

function entry(name, value, database, depth) {
  const [key, content] = kindOf(value);
  const label = [said(name, "b", { class: "name" }), " ", h("span", { class: "type" }, types[key] || key || "no value"), " "];
  if (key === "mapValue") return nest(label, "field", Object.entries(content.fields || {}), database, depth);
  if (key === "arrayValue") return nest(label, "element", (content.values || []).map((v, i) => [String(i), v]), database, depth);
  return h("li", {}, ...label, h("span", { class: "value" }, show(key, content, database)));
}

// nest shows what is in a map or list. It makes the elements when they are first seen,
// because a document may have very many.
function nest(label, word, entries, database, depth) {
  const count = h("span", { class: "type" }, plural(entries.length, word));
  if (entries.length === 0) return h("li", {}, ...label, count);
  const inner = h("details", {}, h("summary", {}, ...label, count));
  let made = false;
  const make = () => {
    if (made || !inner.open) return;
    made = true;
    inner.append(fieldsOf(entries, database, depth + 1));
  };
  inner.addEventListener("toggle", make);
  if (depth < 3 && entries.length <= openFields) {
    inner.open = true;
    make();
  }
  return h("li", {}, inner);
}

function show(key, content, database) {
  switch (key) {
    case "nullValue": return h("code", {}, "null");
    case "stringValue": return longText(content);
    case "bytesValue": return h("span", {}, `${plural(bytesIn(content), "byte")} `, longText(content, "code"));
    case "referenceValue": {
      const { database: of, path } = splitName(content);
      return of === database ? h("a", { href: `#data/${encodeURIComponent(path)}` }, said(path)) : said(content);
    }
    case "geoPointValue": return h("code", {}, `${content.latitude || 0}, ${content.longitude || 0}`);
    default: return said(Object.is(content, -0) ? "-0" : String(content), "code");
  }
}

// text shows the begin of a long text, and the whole when asked.
function longText(content, name = "span") {
  if (content === "") return h("span", { class: "type" }, "empty");
  if (content.length <= shownText) return said(content, name);
  const part = said(clip(content, shownText), name);
  const all = h("button", { type: "button", class: "copy", onclick: () => {
    part.textContent = content;
    all.remove();
  } }, `Show all ${number(content.length)} characters`);
  return h("span", {}, part, " ", all);
}

// bytesIn returns the number of bytes that a text in Base64 stands for.
const bytesIn = (text) => Math.floor((text.replace(/=+$/, "").length * 3) / 4);

// formatted writes the fields of a document as JSON for people.
export const formatted = (fields) => JSON.stringify({ fields: fields || {} }, (_, v) => (Object.is(v, -0) && JSON.rawJSON ? JSON.rawJSON("-0") : v), 2);
