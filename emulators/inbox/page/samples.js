// A few made-up customers to begin with, one a line as /v1/imports reads them.
const people = [
  ["anna", "Riga", ["android", "ios"]], ["bruno", "Riga", ["ios"]], ["chiara", "Torino", ["web", "android", "ios"]],
  ["daan", "Utrecht", ["android"]], ["edda", "Reykjavík", ["web"]], ["farid", "Lyon", ["ios", "web"]],
];

export const names = people.map(([id]) => id);

export function samples() {
  return people.map(([id, city, platforms]) => JSON.stringify({
    id, segments: ["sample", city.toLowerCase()], attributes: { city },
    tokens: platforms.map((platform) => ({ token: `${id}-${platform}:APA91b${[...id].map((c) => c.charCodeAt(0).toString(36)).join("")}${platform}Sample`, platform, app: "shop" })),
  })).join("\n") + "\n";
}
