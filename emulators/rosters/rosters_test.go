package rosters

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// A world is a database with customers, whose rosters dispatch's own code has stored.
type world struct {
	*store.Store
	t  *testing.T
	db *firestore.Client
}

// The customers of a world are in two rosters that follow each other.
const prefix, otherPrefix = "7v", "80"

// ids are of three customers of the first roster, in the order of their keys, and of one after
// them who does not exist. otherID is of a customer of the second roster.
var ids, otherID = idsOf(prefix, 4), idsOf(otherPrefix, 1)[0]

// idsOf returns n ids of customers with a prefix, in the order of their keys.
func idsOf(prefix string, n int) []string {
	var out []string
	for i := 0; len(out) < n; i++ {
		if id := fmt.Sprintf("customer-%d", i); strings.HasPrefix(push.CustomerKey(id), prefix) {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, func(a, b string) int { return strings.Compare(push.CustomerKey(a), push.CustomerKey(b)) })
	return out
}

// newWorld registers four customers, one of them with an invalid token, and reads everyone as
// a mailing does.
func newWorld(t *testing.T) *world {
	db := testcloud.New(t).DB()
	w := &world{store.New(db, store.Options{Now: time.Now, MaxTokens: 5, RostersFrom: 1, RosterSlack: time.Millisecond}), t, db}
	for _, id := range append(ids[:3:3], otherID) {
		w.register(id, "phone-of-"+id)
	}
	w.register(ids[0], "old-phone")
	w.change(ids[0], "tokens."+push.TokenID("old-phone")+".invalid", map[string]any{"code": "UNREGISTERED"})
	w.readEveryone()
	return w
}

func (w *world) register(customer, token string) {
	w.t.Helper()
	_, err := w.RegisterToken(w.t.Context(), customer, push.Registration{Kind: push.KindToken, Value: token, Platform: push.Android, App: "shop"})
	if err != nil {
		w.t.Fatalf("registering a token of %s: %v", customer, err)
	}
}

// readEveryone reads the two rosters as a mailing to everyone does, which stores them.
func (w *world) readEveryone() {
	w.t.Helper()
	a, err := w.OpenAudience(w.t.Context(), push.NewMailing("m", "m", push.Draft{Audience: push.Audience{Everyone: true}}, time.Now()))
	lastDigits := strings.Repeat("v", push.KeySize-prefixDigits)
	for after := "7u" + lastDigits; after != "" && err == nil; {
		var p store.AudiencePage
		p, err = a.ReadPage(w.t.Context(), after, otherPrefix+lastDigits, 1000)
		after = p.Last
	}
	if err != nil {
		w.t.Fatalf("reading everyone: %v", err)
	}
}

// change changes a field of a customer's document without Carillon, so that changedAt stays.
func (w *world) change(customer, field string, value any) {
	w.t.Helper()
	w.update("customers/"+push.CustomerKey(customer), field, value)
}

func (w *world) update(document, field string, value any) {
	w.t.Helper()
	if _, err := w.db.Doc(document).Update(w.t.Context(), []firestore.Update{{Path: field, Value: value}}); err != nil {
		w.t.Fatalf("changing %s of %s: %v", field, document, err)
	}
}

func (w *world) set(document string, fields any) {
	w.t.Helper()
	if _, err := w.db.Doc(document).Set(w.t.Context(), fields); err != nil {
		w.t.Fatalf("writing %s: %v", document, err)
	}
}

// part reads a document of a roster.
func (w *world) part(name string) partDocument {
	w.t.Helper()
	snap, err := w.db.Doc("rosters/" + name).Get(w.t.Context())
	var d partDocument
	if err == nil {
		err = snap.DataTo(&d)
	}
	if err != nil {
		w.t.Fatalf("reading roster %s: %v", name, err)
	}
	return d
}

// changeRoster changes the customers of the roster of prefix.
func (w *world) changeRoster(change func([]*push.Customer) []*push.Customer) {
	w.t.Helper()
	customers, err := push.DecodeRoster(w.part(prefix).Data)
	if err != nil {
		w.t.Fatalf("decoding roster %s: %v", prefix, err)
	}
	w.update("rosters/"+prefix, "data", push.EncodeRoster(change(customers)))
}

// changeOne changes the first customer of the roster of prefix.
func (w *world) changeOne(change func(*push.Customer)) {
	w.t.Helper()
	w.changeRoster(func(all []*push.Customer) []*push.Customer {
		change(all[0])
		return all
	})
}

// addPart divides the roster of prefix into two parts. The second is of a moment that is
// later by this much.
func (w *world) addPart(later time.Duration) {
	w.t.Helper()
	d := w.part(prefix)
	customers, err := push.DecodeRoster(d.Data)
	if err != nil {
		w.t.Fatalf("decoding roster %s: %v", prefix, err)
	}
	d.Parts, d.Data = 2, push.EncodeRoster(customers[:1])
	w.set("rosters/"+prefix, d)
	d.At, d.Data = d.At.Add(later), push.EncodeRoster(customers[1:])
	w.set("rosters/"+prefix+"-1", d)
}

// verify compares with a slack.
func (w *world) verify(slack time.Duration) *Report {
	w.t.Helper()
	p, err := NewPlan(w.t.Context(), w.db)
	if err != nil {
		w.t.Fatalf("planning: %v", err)
	}
	r, err := p.Verify(w.t.Context(), slack, func(int) {})
	if err != nil {
		w.t.Fatalf("verifying: %v", err)
	}
	if r.Reads > p.Reads() {
		w.t.Errorf("%d documents were read, want at most the %d of the plan", r.Reads, p.Reads())
	}
	return r
}

// describe returns the findings as lines.
func (f Findings) describe() string {
	var lines []string
	for _, x := range f.First {
		lines = append(lines, x.String())
	}
	return strings.Join(lines, "\n")
}

// What dispatch has stored is right, also in several parts.
func TestRostersOfDispatchAreRight(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*world){
		"as stored":                func(*world) {},
		"in two parts":             func(w *world) { w.addPart(0) },
		"after a change":           func(w *world) { w.register(ids[1], "second-phone") },
		"after an app was started": func(w *world) { w.changeToken(ids[0], "seenAt", time.Now().Add(time.Hour)) },
		"with two tokens that were added together": func(w *world) { w.addTogether(ids[0]) },
		"after an erasure": func(w *world) {
			if _, err := w.EraseCustomer(w.t.Context(), otherID); err != nil {
				w.t.Fatal(err)
			}
			w.readEveryone()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			prepare(w)

			r := w.verify(0)
			check.Equal(t, r.Wrong.describe(), "", "the findings")
			check.Equal(t, r.Remarks.describe(), "", "the remarks")
			check.Equal(t, r.Used, 2, "the number of rosters used")
			check.Between(t, r.Compared, 3, 4, "the number of customers compared")
		})
	}
}

// Every fault of a roster is found, for the customer who has it.
func TestFaultsOfRostersAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage func(*world)
		key    string // of the customer; "" is that of ids[0]
		want   string
	}{
		"who does not exist": {damage: func(w *world) {
			w.changeRoster(func(all []*push.Customer) []*push.Customer { return append(all, &push.Customer{ID: ids[3]}) })
		}, key: push.CustomerKey(ids[3]), want: "the customer does not exist"},
		"who was deleted without Carillon": {damage: func(w *world) {
			if _, err := w.db.Doc("customers/" + push.CustomerKey(ids[0])).Delete(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
		}, want: "the customer does not exist"},
		"missing": {damage: func(w *world) {
			w.changeRoster(func(all []*push.Customer) []*push.Customer { return all[1:] })
		}, want: "the customer is missing"},
		"missing, and changedAt too": {damage: func(w *world) {
			w.changeRoster(func(all []*push.Customer) []*push.Customer { return all[1:] })
			w.change(ids[0], "changedAt", firestore.Delete)
		}, want: "the customer is missing"},
		"twice": {damage: func(w *world) {
			w.changeRoster(func(all []*push.Customer) []*push.Customer { return append(all[:1], all...) })
		}, want: "is there twice"},
		"of another roster": {damage: func(w *world) {
			w.changeRoster(func(all []*push.Customer) []*push.Customer {
				return append(all, &push.Customer{ID: otherID})
			})
		}, key: push.CustomerKey(otherID), want: "belongs to another roster"},
		"erased, in a part that is left over": {damage: func(w *world) {
			d := w.part(prefix)
			d.Data = push.EncodeRoster([]*push.Customer{{ID: ids[3]}})
			w.set("rosters/"+prefix+"-1", d)
		}, key: push.CustomerKey(ids[3]), want: "does not exist, and is in a part that is not used"},
		"whose changes are not found": {damage: func(w *world) { w.change(ids[0], "prefix", "00") }, want: `the field prefix of the customer is "00"`},

		"id":            {damage: func(w *world) { w.change(ids[0], "id", "another") }, want: "differs in id;"},
		"optedOut":      {damage: func(w *world) { w.change(ids[0], "optedOut", true) }, want: "differs in optedOut;"},
		"categories":    {damage: func(w *world) { w.change(ids[0], "categories", map[string]bool{"promo": false}) }, want: "differs in categories;"},
		"segments":      {damage: func(w *world) { w.change(ids[0], "segments", []string{"vip"}) }, want: "differs in segments;"},
		"time zone":     {damage: func(w *world) { w.change(ids[0], "timeZone", "Europe/Berlin") }, want: "differs in timeZone;"},
		"invalid token": {damage: func(w *world) { w.changeToken(ids[0], "invalid", map[string]any{"code": "X"}) }, want: "differs in 1 tokens that are not valid tokens of the customer;"},
		"value": {damage: func(w *world) {
			w.changeOne(func(c *push.Customer) { c.Tokens[0].Value = "another" })
		}, want: "differs in 1 tokens that are not valid tokens of the customer, 1 tokens that the roster lacks;"},
		"value of the same id": {damage: func(w *world) { w.changeToken(ids[0], "token", "another") }, want: "differs in token of a token;"},
		"lacking token":        {damage: func(w *world) { w.changeOne(func(c *push.Customer) { c.Tokens = nil }) }, want: "differs in 1 tokens that the roster lacks;"},
		"kind":                 {damage: func(w *world) { w.changeToken(ids[0], "kind", "fid") }, want: "differs in kind of a token;"},
		"platform":             {damage: func(w *world) { w.changeToken(ids[0], "platform", "ios") }, want: "differs in platform of a token;"},
		"app":                  {damage: func(w *world) { w.changeToken(ids[0], "app", "other") }, want: "differs in app of a token;"},
		"notifications":        {damage: func(w *world) { w.changeToken(ids[0], "notifications", "denied") }, want: "differs in notifications of a token;"},
		"imported":             {damage: func(w *world) { w.changeToken(ids[0], "imported", true) }, want: "differs in imported of a token;"},
		"added at":             {damage: func(w *world) { w.changeToken(ids[0], "addedAt", time.Unix(1, 0)) }, want: "differs in addedAt of a token;"},
		"seen at, of two tokens added together": {damage: func(w *world) {
			at := w.addTogether(ids[0])
			w.changeToken(ids[0], "seenAt", at)
		}, want: "differs in seenAt of a token;"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.damage(w)
			if c.key == "" {
				c.key = push.CustomerKey(ids[0])
			}

			r := w.verify(0)
			check.Equal(t, r.Wrong.Count, 1, "the number of findings")
			check.Contains(t, r.Wrong.describe(), "roster "+prefix+": customer "+c.key+": ", "the finding")
			check.Contains(t, r.Wrong.describe(), c.want, "the finding")
			check.NotContains(t, r.Wrong.describe(), "phone", "the finding")
		})
	}
}

// addTogether gives a customer a second valid token that was added at the same time as the
// first, empties the roster, and reads everyone. It returns a time at which none was seen.
func (w *world) addTogether(customer string) time.Time {
	w.t.Helper()
	w.register(customer, "tablet")
	at := time.Now().Add(-time.Hour)
	w.changeToken(customer, "addedAt", at)
	w.change(customer, "tokens."+push.TokenID("tablet")+".addedAt", at)
	w.set("rosters/"+prefix, map[string]any{})
	w.readEveryone()
	return at
}

// changeToken changes a field of the customer's first valid token without Carillon.
func (w *world) changeToken(customer, field string, value any) {
	w.t.Helper()
	w.change(customer, "tokens."+push.TokenID("phone-of-"+customer)+"."+field, value)
}

// A roster that dispatch does not use is a remark: its customers are read.
func TestRostersThatAreNotUsed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage func(*world)
		want   string // a part of the remarks
		used   int
	}{
		"parts of two moments":    {func(w *world) { w.addPart(time.Second) }, "part 1 is of ", 1},
		"a part is missing":       {func(w *world) { w.update("rosters/"+prefix, "parts", 2) }, "of 2 parts 1 can be used", 1},
		"damaged":                 {func(w *world) { w.update("rosters/"+prefix, "data", []byte{1, 2}) }, "part 0 cannot be decoded", 1},
		"no bytes":                {func(w *world) { w.update("rosters/"+prefix, "data", "text") }, "part 0 cannot be decoded", 1},
		"old":                     {func(w *world) { w.update("rosters/"+prefix, "builtAt", time.Now().Add(-rosterLife)) }, "its customers were last read at", 1},
		"emptied":                 {func(w *world) { w.set("rosters/"+prefix, map[string]any{}) }, "", 1},
		"a part is left over":     {func(w *world) { w.set("rosters/"+prefix+"-3", w.part(prefix)) }, "part 3 is left over", 2},
		"a name of another form":  {func(w *world) { w.set("rosters/7w", map[string]any{}) }, "roster 7w: the name is not that of a roster", 2},
		"an undecodable customer": {func(w *world) { w.change(ids[2], "tokens", "none") }, "the document of the customer cannot be decoded", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.change(ids[0], "optedOut", c.used == 1) // a difference, which does not count in a roster that is not used
			c.damage(w)

			r := w.verify(0)
			check.Equal(t, r.Wrong.describe(), "", "the findings")
			check.Contains(t, r.Remarks.describe(), c.want, "the remarks")
			check.Equal(t, r.Used, c.used, "the number of rosters used")
		})
	}
}

// A customer who has changed less than the slack before the roster is not compared: dispatch
// reads the document.
func TestLateChangesAreNotCompared(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change(ids[0], "optedOut", true)

	r := w.verify(time.Hour)
	check.Equal(t, r.Wrong.describe(), "", "the findings with a slack of an hour")
	check.Equal(t, r.Compared, 0, "the number of customers compared with a slack of an hour")
}

// Findings are all counted, and the first are kept.
func TestFindingsAreBounded(t *testing.T) {
	t.Parallel()
	var f Findings
	for i := range 3 * mostKept {
		f.add(Finding{Roster: fmt.Sprintf("%03d", 3*mostKept-1-i)})
	}
	check.Equal(t, f.Count, 3*mostKept, "the number of findings")
	check.Equal(t, len(f.First), mostKept, "the number of findings kept")
	check.Equal(t, f.First[0].Roster, "000", "the first finding")

	var out bytes.Buffer
	(&Report{Wrong: f}).print(&out)
	check.Contains(t, out.String(), fmt.Sprintf("and %d more", 2*mostKept), "the output")
}

// After Empty no document has a customer, and a mailing that read a roster before cannot store
// it: every first document exists and is new.
func TestEmptyLeavesNoCustomers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addPart(0)
	var before []*firestore.DocumentSnapshot
	for range 2 {
		if err := Empty(t.Context(), w.db); err != nil {
			t.Fatalf("emptying the rosters: %v", err)
		}

		snaps, err := w.db.Collection("rosters").Documents(t.Context()).GetAll()
		if err != nil {
			t.Fatalf("reading the rosters: %v", err)
		}
		check.MustEqual(t, len(snaps), push.KeyPrefixes, "the number of documents")
		for i, snap := range snaps {
			if !isEmptied(snap) {
				t.Errorf("roster %s has the fields %v, want none of a roster", snap.Ref.ID, snap.Data())
			}
			if before != nil && !snap.UpdateTime.After(before[i].UpdateTime) {
				t.Errorf("roster %s was emptied again, and its revision is the same", snap.Ref.ID)
			}
		}
		before = snaps
	}

	w.readEveryone()
	r := w.verify(0)
	check.Equal(t, r.Wrong.describe(), "", "the findings after the next mailing")
	check.Equal(t, r.Compared, 4, "the number of customers compared after the next mailing")
}
