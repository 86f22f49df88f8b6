package store_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// A rosterHarness is a store that always uses rosters, with its own customers.
type rosterHarness struct {
	*harness
	customers []string // all in the roster middlePrefix
}

// newRosterHarness registers n customers of one roster, each with a token that has size bytes.
func newRosterHarness(t testing.TB, n, size int) *rosterHarness {
	t.Helper()
	h := &rosterHarness{newHarness(t), idsOf(middlePrefix, n)}
	h.Store = store.New(h.DB(), store.Options{Now: h.clock.Now, RostersFrom: 1, RosterSlack: rosterSlack})

	lines := make([]store.ImportLine, n)
	for i, id := range h.customers {
		value := id + ":" + strings.Repeat("x", size-len(id)-1)
		lines[i] = store.ImportLine{Customer: id, Tokens: []push.Registration{{Kind: push.KindToken, Value: value, Platform: push.Android}}}
	}
	if _, _, err := h.ImportCustomers(t.Context(), lines); err != nil {
		t.Fatalf("importing: %v", err)
	}
	h.letSlackPass()
	return h
}

// letSlackPass waits until all changes so far are older than the slack.
func (h *rosterHarness) letSlackPass() { time.Sleep(2 * rosterSlack) }

// page reads the customers of the roster middlePrefix for a mailing.
func (h *rosterHarness) page(t testing.TB, a push.Audience, attributes ...string) store.AudiencePage {
	t.Helper()
	audience, err := h.OpenAudience(t.Context(), push.NewMailing("m", "m", push.Draft{Audience: a}, h.clock.Now()), attributes...)
	if err != nil {
		t.Fatalf("opening the audience: %v", err)
	}
	p, err := audience.ReadPage(t.Context(), push.LastKeyWith(firstPrefix), push.LastKeyWith(middlePrefix), audience.PageSize())
	if err != nil {
		t.Fatalf("reading a page: %v", err)
	}
	return p
}

// readEveryone reads the page of everyone, and checks what was read for it and that it has
// all customers.
func (h *rosterHarness) readEveryone(t testing.TB, want store.AudienceReads) {
	t.Helper()
	p := h.page(t, push.Audience{Everyone: true})
	check.Equal(t, p.Reads, want, "what was read")
	check.Equal(t, len(p.Members), len(h.customers), "number of members")
	check.Equal(t, p.Last, "", "the last key of a page that ends the range")
}

func (h *rosterHarness) rosterDocument(part string) *firestore.DocumentRef {
	return h.DB().Doc("rosters/" + middlePrefix + part)
}

// TestARosterSavesReads: after the first mailing only the customers who changed are read, and a
// roster is stored again when that saves more than it costs.
func TestARosterSavesReads(t *testing.T) {
	t.Parallel()
	h := newRosterHarness(t, 30, 200)
	change := func(n int) {
		for _, id := range h.customers[:n] {
			h.register(t, id, id+":another")
		}
		h.letSlackPass()
	}

	h.readEveryone(t, store.AudienceReads{Rosters: 1, Customers: 30, RostersWritten: 1})
	h.readEveryone(t, store.AudienceReads{Rosters: 1})
	change(2)
	h.readEveryone(t, store.AudienceReads{Rosters: 1, Changes: 2})
	change(3)
	h.readEveryone(t, store.AudienceReads{Rosters: 1, Changes: 3, RostersWritten: 1})
	h.readEveryone(t, store.AudienceReads{Rosters: 1})
}

// TestTheStartOfAnAppIsNoChange: customers whose tokens are registered again are not read again,
// and a change before it is not forgotten.
func TestTheStartOfAnAppIsNoChange(t *testing.T) {
	t.Parallel()
	h := newRosterHarness(t, 30, 200)
	start := func() {
		h.clock.Add(24 * time.Hour)
		for _, id := range h.customers {
			h.register(t, id, id+":"+strings.Repeat("x", 200-len(id)-1))
		}
		h.letSlackPass()
	}

	start() // the tokens are those of an import no more
	h.readEveryone(t, store.AudienceReads{Rosters: 1, Customers: 30, RostersWritten: 1})
	start()
	h.readEveryone(t, store.AudienceReads{Rosters: 1})
	h.register(t, h.customers[0], h.customers[0]+":another")
	start()
	h.readEveryone(t, store.AudienceReads{Rosters: 1, Changes: 1})
}

// TestALargeRosterHasSeveralDocuments: what does not fit into one document is divided, and an
// erasure empties all of them.
func TestALargeRosterHasSeveralDocuments(t *testing.T) {
	t.Parallel()
	const parts = 2
	h := newRosterHarness(t, 300, 4000)
	h.readEveryone(t, store.AudienceReads{Rosters: 1, Customers: 300, RostersWritten: parts})
	h.readEveryone(t, store.AudienceReads{Rosters: parts})
	check.Equal(t, h.Count("rosters"), parts, "documents of the roster")

	erased := h.customers[7]
	if _, err := h.EraseCustomer(t.Context(), erased); err != nil {
		t.Fatalf("erasing: %v", err)
	}
	check.Equal(t, h.Count("rosters"), 1, "documents of the roster after an erasure")
	snap, err := h.rosterDocument("").Get(t.Context())
	if err != nil {
		t.Fatalf("reading the roster: %v", err)
	}
	check.Equal(t, snap.Data()["data"], nil, "data of the roster after an erasure")

	h.customers = slices.Delete(h.customers, 7, 8)
	h.readEveryone(t, store.AudienceReads{Rosters: 1, Customers: 299, RostersWritten: parts})

	// TTL deletes one document after the other.
	if _, err := h.rosterDocument("").Delete(t.Context()); err != nil {
		t.Fatalf("deleting the first document: %v", err)
	}
	if _, err := h.EraseCustomer(t.Context(), h.customers[7]); err != nil {
		t.Fatalf("erasing: %v", err)
	}
	check.Equal(t, h.Count("rosters"), 1, "documents of the roster after an erasure without its first document")
	h.customers = slices.Delete(h.customers, 7, 8)
	h.readEveryone(t, store.AudienceReads{Rosters: 1, Customers: 298, RostersWritten: parts})
}

// TestARosterThatShrinksHasFewerDocuments: those that it does not need any more are deleted.
func TestARosterThatShrinksHasFewerDocuments(t *testing.T) {
	t.Parallel()
	h := newRosterHarness(t, 300, 4000)
	h.readEveryone(t, store.AudienceReads{Rosters: 1, Customers: 300, RostersWritten: 2})
	for _, id := range h.customers[:100] {
		token := push.TokenID(id + ":" + strings.Repeat("x", 4000-len(id)-1))
		if _, err := h.UnregisterToken(t.Context(), id, token); err != nil {
			t.Fatalf("unregistering the token of %s: %v", id, err)
		}
	}
	h.letSlackPass()

	h.readEveryone(t, store.AudienceReads{Rosters: 2, Changes: 100, RostersWritten: 1})
	check.Equal(t, h.Count("rosters"), 1, "documents of the roster")
	h.readEveryone(t, store.AudienceReads{Rosters: 1})
}

// TestAnUnusableRosterIsMadeAgain: from all customers, at once.
func TestAnUnusableRosterIsMadeAgain(t *testing.T) {
	t.Parallel()
	h := newRosterHarness(t, 300, 4000)
	h.readEveryone(t, store.AudienceReads{Rosters: 1, Customers: 300, RostersWritten: 2})
	update := func(part, field string, value any) func() error {
		return func() error {
			_, err := h.rosterDocument(part).Update(t.Context(), []firestore.Update{{Path: field, Value: value}})
			return err
		}
	}
	for name, spoil := range map[string]func() error{
		"second document deleted": func() error {
			_, err := h.rosterDocument("-1").Delete(t.Context())
			return err
		},
		"second document of another time": update("-1", "at", time.Now()),
		"bytes spoilt":                    update("-1", "data", []byte("spoilt")),
		"not decodable":                   update("", "at", "yesterday"),
		"older than its life":             update("", "builtAt", time.Now().Add(-30*24*time.Hour)),
	} {
		t.Run(name, func(t *testing.T) {
			if err := spoil(); err != nil {
				t.Fatalf("changing the roster: %v", err)
			}
			p := h.page(t, push.Audience{Everyone: true})
			check.Equal(t, p.Reads.Customers, 300, "customers read")
			check.Equal(t, p.Reads.RostersWritten, 2, "documents written")
			h.readEveryone(t, store.AudienceReads{Rosters: 2})
		})
	}
}

// TestARosterThatIsEmptyIsEmptiedAgain: a mailing reads the customers of a roster that an erasure
// has emptied. Before it stores the roster, another customer is erased. The second erasure must
// change the document although it is empty already.
func TestARosterThatIsEmptyIsEmptiedAgain(t *testing.T) {
	t.Parallel()
	var beforeStoring func()
	h := newHarness(t, grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, call grpc.UnaryInvoker, o ...grpc.CallOption) error {
		if storesRoster(req) {
			beforeStoring()
		}
		return call(ctx, method, req, reply, conn, o...)
	}))
	h.Store = store.New(h.DB(), store.Options{Now: h.clock.Now, RostersFrom: 1, RosterSlack: rosterSlack})
	r := &rosterHarness{h, idsOf(middlePrefix, 3)}
	for _, id := range r.customers {
		h.register(t, id, "token-of-"+id)
	}
	erase := func(id string) {
		if _, err := h.EraseCustomer(t.Context(), id); err != nil {
			t.Errorf("erasing %s: %v", id, err)
		}
	}

	erase(r.customers[0])
	stored := 0
	beforeStoring = func() {
		stored++
		erase(r.customers[1])
	}
	p := r.page(t, push.Audience{Everyone: true})
	check.Equal(t, stored, 1, "tries to store the roster")
	check.Equal(t, len(p.Members), 2, "customers that were read before the second erasure")
	check.Equal(t, p.Reads.RostersWritten, 0, "rosters stored after it")
}

// storesRoster reports whether a request is a commit that stores a roster.
func storesRoster(req any) bool {
	commit, ok := req.(*pb.CommitRequest)
	return ok && slices.ContainsFunc(commit.Writes, func(w *pb.Write) bool { return w.GetUpdate().GetFields()["data"] != nil })
}
