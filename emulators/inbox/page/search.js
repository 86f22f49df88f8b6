// The search: words that all have to be found, each anywhere or, with token:,
// customer: or mailing: before it, there.

const fields = ["token", "customer", "mailing"];

export function parse(text) {
  return (text.toLowerCase().match(/(?:[a-z]+:)?"[^"]*"?|\S+/g) || []).map((word) => {
    const colon = word.indexOf(":");
    const field = fields.includes(word.slice(0, colon)) ? word.slice(0, colon) : "";
    return { field, text: (field ? word.slice(colon + 1) : word).replaceAll('"', "") };
  }).filter((t) => t.text);
}

const inMessage = (t, s) => (t.field === "mailing" ? s.mailing.toLowerCase().includes(t.text) : s.hay.includes(t.text));

function inPhone(t, p) {
  switch (t.field) {
    case "token": return p.hay.includes(t.text);
    case "customer": return p.group.hay.includes(t.text);
    case "mailing": return (p.refused?.mailing.toLowerCase() || "").includes(t.text);
    default: return p.hay.includes(t.text) || p.group.hay.includes(t.text);
  }
}

// shown is the message of a found phone that its row shows: the last one with the words
// that were searched for, else its last one.
export function shown(terms, p) {
  const rest = terms.filter((t) => t.field === "mailing" || !inPhone(t, p));
  return rest.length === 0 ? p.messages.at(-1) : p.messages.findLast((s) => rest.every((t) => inMessage(t, s))) || p.messages.at(-1);
}

// matches reports whether a phone is found: words about it and its customer
// are looked for there, the others all in one of its messages.
export function matches(terms, p) {
  const rest = terms.filter((t) => !inPhone(t, p));
  if (rest.length === 0) return true;
  if (rest.some((t) => t.field === "token" || t.field === "customer")) return false;
  return p.messages.some((s) => rest.every((t) => inMessage(t, s)));
}
