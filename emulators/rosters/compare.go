package rosters

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// A partDocument is a document of a roster.
type partDocument struct {
	At      time.Time `firestore:"at"`
	BuiltAt time.Time `firestore:"builtAt"`
	Parts   int       `firestore:"parts"`
	Data    []byte    `firestore:"data"`
}

// A customerDocument has the fields of a customer that a roster repeats, and those by which
// a query finds what has changed.
type customerDocument struct {
	ID         string                   `firestore:"id"`
	Tokens     map[string]tokenDocument `firestore:"tokens"`
	Segments   []string                 `firestore:"segments"`
	OptedOut   bool                     `firestore:"optedOut"`
	Categories map[string]bool          `firestore:"categories"`
	TimeZone   string                   `firestore:"timeZone"`
	Prefix     string                   `firestore:"prefix"`
	ChangedAt  time.Time                `firestore:"changedAt"`
}

// customerFields are the fields of customerDocument.
var customerFields = []string{"id", "tokens", "segments", "optedOut", "categories", "timeZone", "prefix", "changedAt"}

// A tokenDocument is a push token of a customerDocument.
type tokenDocument struct {
	Token         string         `firestore:"token"`
	Kind          string         `firestore:"kind"`
	Platform      string         `firestore:"platform"`
	App           string         `firestore:"app"`
	Notifications string         `firestore:"notifications"`
	AddedAt       time.Time      `firestore:"addedAt"`
	SeenAt        time.Time      `firestore:"seenAt"`
	Imported      bool           `firestore:"imported"`
	Invalid       map[string]any `firestore:"invalid"` // nil while the token is valid
}

// A roster is what the documents of one roster have, while it is compared.
type roster struct {
	prefix string
	at     time.Time // the moment that the customers are of
	used   bool      // dispatch uses it: it claims to have all customers at that moment
	report *Report

	customers map[string]*push.Customer // by key: those that are not compared yet
	left      map[string]bool           // keys in parts that are not used, which are not found yet
}

// openRoster decodes the documents of a roster. What makes a roster unusable is a remark: then
// dispatch reads the customers. Even so, no document may have a customer who was erased.
func openRoster(prefix string, snaps []*firestore.DocumentSnapshot, report *Report) *roster {
	r := &roster{prefix: prefix, report: report, customers: map[string]*push.Customer{}, left: map[string]bool{}}
	slices.SortFunc(snaps, compareParts)

	var first partDocument
	found, last := 0, ""
	for _, snap := range snaps {
		_, part, ok := parseName(snap.Ref.ID)
		if !ok || isEmptied(snap) {
			continue // the first is a remark of the plan
		}
		d, customers, err := decodePart(snap)
		if err != nil {
			r.remark("part %d cannot be decoded: %v", part, err)
			continue
		}
		if part == 0 {
			first = d
		}
		switch {
		case part > 0 && part >= first.Parts:
			r.remark("part %d is left over", part)
			r.addLeft(customers)
		case !d.At.Equal(first.At):
			r.remark("part %d is of %s, the first part of %s", part, formatTime(d.At), formatTime(first.At))
			r.addLeft(customers)
		default:
			found++
			last = r.addCustomers(customers, last)
		}
	}

	r.at = first.At
	switch {
	case first.Parts == 0:
	case found < first.Parts:
		r.remark("it is not used: of %d parts %d can be used", first.Parts, found)
	case snaps[0].ReadTime.Sub(first.BuiltAt) >= rosterLife:
		r.remark("it is not used: its customers were last read at %s", formatTime(first.BuiltAt))
	default:
		r.used = true
		report.Used++
	}
	return r
}

// isEmptied reports whether an erasure, or the command, has emptied a roster: then its document
// has at most the id of that write.
func isEmptied(snap *firestore.DocumentSnapshot) bool {
	data := snap.Data()
	delete(data, "write")
	return len(data) == 0
}

// decodePart decodes a document of a roster.
func decodePart(snap *firestore.DocumentSnapshot) (d partDocument, customers []*push.Customer, err error) {
	if err = snap.DataTo(&d); err == nil {
		customers, err = push.DecodeRoster(d.Data)
	}
	return d, customers, err
}

// compareParts orders the documents of a roster by their numbers.
func compareParts(a, b *firestore.DocumentSnapshot) int {
	_, i, _ := parseName(a.Ref.ID)
	_, k, _ := parseName(b.Ref.ID)
	return i - k
}

// addCustomers adds the customers of a part. last is the key of the last customer of the
// earlier parts. It returns the last key of this one.
func (r *roster) addCustomers(customers []*push.Customer, last string) string {
	for _, c := range customers {
		key := push.CustomerKey(c.ID)
		if !strings.HasPrefix(key, r.prefix) {
			r.wrong(key, "the customer belongs to another roster")
			continue
		}
		if key <= last {
			r.wrong(key, "the customer is there twice, or not in the order of the keys")
		}
		last = max(last, key)
		r.customers[key] = c
	}
	return last
}

// addLeft adds the customers of a part that is not used.
func (r *roster) addLeft(customers []*push.Customer) {
	for _, c := range customers {
		r.left[push.CustomerKey(c.ID)] = true
	}
}

// isEmpty reports whether there is nothing to compare.
func (r *roster) isEmpty() bool { return !r.used && len(r.customers) == 0 && len(r.left) == 0 }

func (r *roster) wrong(key, what string) {
	r.report.Wrong.add(Finding{r.prefix, key, what})
}

func (r *roster) remark(format string, args ...any) {
	r.report.Remarks.add(Finding{r.prefix, "", fmt.Sprintf(format, args...)})
}

// compareCustomer compares a customer with the roster. One who has changed at a time that is
// not at least the slack before that of the roster is not compared: dispatch reads the
// document.
func (r *roster) compareCustomer(snap *firestore.DocumentSnapshot, slack time.Duration) {
	key := snap.Ref.ID
	c, found := r.customers[key]
	delete(r.customers, key)
	delete(r.left, key)
	if !r.used {
		return
	}

	var d customerDocument
	if err := snap.DataTo(&d); err != nil {
		r.report.Remarks.add(Finding{r.prefix, key, "the document of the customer cannot be decoded"})
		return
	}
	if !d.ChangedAt.IsZero() && d.Prefix != r.prefix {
		r.wrong(key, fmt.Sprintf("the field prefix of the customer is %q, so that changes are not found", d.Prefix))
	}
	if d.ChangedAt.After(r.at.Add(-slack)) {
		return
	}

	r.report.Compared++
	if !found {
		r.wrong(key, "the customer is missing, and was last changed "+formatChange(d.ChangedAt)+", before the roster of "+formatTime(r.at))
		return
	}
	if fields := differences(c, &d); len(fields) > 0 {
		r.wrong(key, "differs in "+strings.Join(fields, ", ")+"; the customer was last changed "+formatChange(d.ChangedAt)+", before the roster of "+formatTime(r.at))
	}
}

// end reports the customers that do not exist.
func (r *roster) end() {
	for key := range r.customers {
		r.wrong(key, "the customer does not exist")
	}
	for key := range r.left {
		r.wrong(key, "the customer does not exist, and is in a part that is not used")
	}
}

// differences returns the fields in which a customer of a roster differs from the document.
// Only valid tokens are in a roster.
func differences(c *push.Customer, d *customerDocument) (fields []string) {
	for _, x := range []struct {
		name string
		same bool
	}{
		{"id", c.ID == d.ID},
		{"optedOut", c.OptedOut == d.OptedOut},
		{"timeZone", c.TimeZone == d.TimeZone},
		{"segments", slices.Equal(c.Segments, d.Segments)},
		{"categories", maps.Equal(c.Categories, d.Categories)},
	} {
		if !x.same {
			fields = append(fields, x.name)
		}
	}

	valid := maps.Clone(d.Tokens)
	maps.DeleteFunc(valid, func(_ string, t tokenDocument) bool { return t.Invalid != nil })
	together := haveSameAddedAt(valid)
	surplus := 0
	for _, t := range c.Tokens {
		stored, ok := valid[t.ID]
		if !ok {
			surplus++
			continue
		}
		delete(valid, t.ID)
		fields = append(fields, differencesOfToken(t, stored, together)...)
	}
	if surplus > 0 {
		fields = append(fields, fmt.Sprintf("%d tokens that are not valid tokens of the customer", surplus))
	}
	if len(valid) > 0 {
		fields = append(fields, fmt.Sprintf("%d tokens that the roster lacks", len(valid)))
	}
	return fields
}

// haveSameAddedAt reports whether two of the tokens were added at the same time. Then the
// latest device is the one that was seen last.
func haveSameAddedAt(tokens map[string]tokenDocument) bool {
	added := map[int64]bool{}
	for _, t := range tokens {
		added[t.AddedAt.UnixMicro()] = true
	}
	return len(added) < len(tokens)
}

// differencesOfToken returns the fields in which a token of a roster differs. When it was seen
// counts only if tokens were added together: else each start of an app would be a change.
func differencesOfToken(t push.Token, d tokenDocument, together bool) (fields []string) {
	for _, x := range []struct {
		name string
		same bool
	}{
		{"token", t.Value == d.Token},
		{"kind", string(t.Kind) == d.Kind},
		{"platform", string(t.Platform) == d.Platform},
		{"app", t.App == d.App},
		{"notifications", string(t.Notifications) == d.Notifications},
		{"imported", t.Imported == d.Imported},
		{"addedAt", t.AddedAt.Equal(d.AddedAt)},
		{"seenAt", !together || t.SeenAt.Equal(d.SeenAt)},
	} {
		if !x.same {
			fields = append(fields, x.name+" of a token")
		}
	}
	return fields
}

// formatTime formats a time with microseconds, as Firestore has them.
func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z07:00") }

// formatChange formats a changedAt.
func formatChange(t time.Time) string {
	if t.IsZero() {
		return "at an unknown time"
	}
	return "at " + formatTime(t)
}
