// What every page of Carillon knows about a mailing, as GET /v1/mailings/{id} answers it.

// final are the states that do not change any more.
export const final = new Set(["completed", "cancelled", "expired", "refused"]);

export const platformNames = { android: "Android", ios: "iOS", web: "Web", unknown: "Unknown" };

// ahead estimates how many tokens the customers have that a mailing has not come to: as
// many a customer as those before.
export function ahead(m) {
  const c = m.customers, t = m.tokens;
  if (!c || !t) return 0;
  const people = m.completedAt ? c.notReached : Math.max(0, c.estimated - c.matched);
  return Math.round(people * (c.matched ? t.targeted / c.matched : 1));
}
