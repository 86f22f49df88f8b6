package store_test

import (
	"fmt"
	"testing"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// countUnknown counts the members of a page who are unknown, or cannot be decoded.
func countUnknown(p store.AudiencePage) (n int) {
	for _, m := range p.Members {
		if m.Customer == nil {
			n++
		}
	}
	return n
}

// TestACustomerThatCannotBeDecodedIsNotLost: the roster is not stored, so that each mailing counts
// the customer as unknown.
func TestACustomerThatCannotBeDecodedIsNotLost(t *testing.T) {
	t.Parallel()
	h := newRosterHarness(t, 30, 200)
	h.readEveryone(t, store.AudienceReads{Rosters: 1, Customers: 30, RostersWritten: 1})
	for i, id := range h.customers[:4] {
		if err := h.spoilCustomer(t, id); err != nil {
			t.Fatalf("spoiling a customer: %v", err)
		}
		h.register(t, h.customers[10+i], id+":another") // so many changes that it would be worth storing
	}
	h.letSlackPass()
	for range 2 {
		p := h.page(t, push.Audience{Everyone: true})
		check.Equal(t, p.Reads, store.AudienceReads{Rosters: 1, Changes: 8}, "what was read beside a roster")
		check.Equal(t, countUnknown(p), 4, "unknown customers")
	}

	if _, err := h.rosterDocument("").Delete(t.Context()); err != nil {
		t.Fatalf("deleting the roster: %v", err)
	}
	for range 2 {
		p := h.page(t, push.Audience{Everyone: true})
		check.Equal(t, p.Reads, store.AudienceReads{Rosters: 1, Customers: 30}, "what was read without a roster")
		check.Equal(t, countUnknown(p), 4, "unknown customers")
	}
}

// TestSegmentsOfACustomerThatCannotBeDecoded: only the mailings to these segments count the
// customer, as unknown, with rosters and without.
func TestSegmentsOfACustomerThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	h := newRosterHarness(t, 30, 200)
	for i, id := range h.customers {
		segments := []string{"loyal", "young"}[:i%3]
		if _, err := h.PatchCustomer(t.Context(), id, push.CustomerPatch{Segments: &segments}); err != nil {
			t.Fatalf("adding customer %s to segments: %v", id, err)
		}
	}
	h.letSlackPass()
	h.readEveryone(t, store.AudienceReads{Rosters: 1, Customers: 30, RostersWritten: 1})
	for _, id := range h.customers[:3] { // in no segment, in one, and in both
		if err := h.spoilCustomer(t, id); err != nil {
			t.Fatalf("spoiling a customer: %v", err)
		}
	}

	documents := *h
	x := *h.harness
	x.Store = store.New(h.DB(), store.Options{Now: h.clock.Now})
	documents.harness = &x
	for _, test := range []struct {
		name    string
		sel     push.Segments
		unknown int
	}{
		{"any", push.Segments{Any: []string{"loyal", "young"}}, 2},
		{"all", push.Segments{All: []string{"loyal", "young"}}, 1},
		{"none", push.Segments{All: []string{"loyal"}, None: []string{"young"}}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			for from, reader := range map[string]*rosterHarness{"rosters": h, "documents": &documents} {
				p := reader.page(t, push.Audience{Segments: &test.sel})
				check.Equal(t, !p.ReadAt.IsZero(), from == "rosters", "whether it was read from rosters")
				check.Equal(t, countUnknown(p), test.unknown, "unknown customers from %s", from)
			}
		})
	}
}

// TestRostersOfABaseThatHasGrown: there are more customers than the number that was counted says.
// Each customer is still in one page, and later pages have so few rosters that they can be made.
func TestRostersOfABaseThatHasGrown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit     int // customers that may be read at once
		documents int // pages that have to be read from documents
		reads     store.AudienceReads
	}{
		"enough":                   {41, 0, store.AudienceReads{Rosters: 4, Customers: 40, RostersWritten: 2}},
		"two rosters are too many": {35, 1, store.AudienceReads{Rosters: 2, Customers: 40, RostersWritten: 2}},
		"one roster is too many":   {20, 2, store.AudienceReads{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newRosterHarness(t, 30, 200)
			for _, id := range idsOf(lastPrefix, 10) {
				h.register(t, id, id+":token")
			}
			h.letSlackPass()
			audience, err := h.OpenAudience(t.Context(), push.NewMailing("m", "m", push.Draft{Audience: push.Audience{Everyone: true}}, h.clock.Now()))
			if err != nil {
				t.Fatalf("opening the audience: %v", err)
			}
			store.LimitBuilding(audience, c.limit)

			seen := map[string]int{}
			var reads store.AudienceReads
			documents := 0
			after, upto := push.LastKeyWith(firstPrefix), push.LastKeyWith(lastPrefix)
			for after != "" {
				p, err := audience.ReadPage(t.Context(), after, upto, 25)
				if err != nil {
					t.Fatalf("reading a page: %v", err)
				}
				for _, m := range p.Members {
					seen[m.Customer.ID]++
				}
				if p.ReadAt.IsZero() {
					documents++
				}
				reads.Add(p.Reads)
				after = p.Last
			}

			check.Equal(t, len(seen), 40, "customers")
			for id, n := range seen {
				check.Equal(t, n, 1, "pages with customer %s", id)
			}
			check.Equal(t, documents, c.documents, "pages from documents")
			check.Equal(t, reads, c.reads, "what was read and written for pages from rosters")
		})
	}
}

// TestRostersAreUsedWhereTheySave lists the audiences that read documents.
func TestRostersAreUsedWhereTheySave(t *testing.T) {
	t.Parallel()
	h := newRosterHarness(t, 100, 200)
	loyal := func(n int) {
		for _, id := range h.customers[:n] {
			if _, err := h.PatchCustomer(t.Context(), id, push.CustomerPatch{Segments: &[]string{fmt.Sprintf("of-%d", n)}}); err != nil {
				t.Fatalf("adding customer %s to a segment: %v", id, err)
			}
		}
	}
	loyal(20)
	loyal(4)
	h.letSlackPass()
	small := store.New(h.DB(), store.Options{Now: h.clock.Now, RostersFrom: 101, RosterSlack: rosterSlack})
	never := store.New(h.DB(), store.Options{Now: h.clock.Now, RosterSlack: rosterSlack})
	everyone := push.Audience{Everyone: true}
	segment := func(n int) push.Audience {
		return push.Audience{Segments: &push.Segments{Any: []string{fmt.Sprintf("of-%d", n)}}}
	}
	// The segments do not make rosters, and use those that there are.
	check.Equal(t, h.page(t, segment(20)).ReadAt.IsZero(), true, "a segment without rosters is read from documents")
	h.readEveryone(t, store.AudienceReads{Rosters: 1, Customers: 100, RostersWritten: 1})

	for name, c := range map[string]struct {
		store      *store.Store
		audience   push.Audience
		attributes []string
		members    int
		fromRoster bool
	}{
		"everyone":                  {h.Store, everyone, nil, 100, true},
		"a large segment":           {h.Store, segment(20), nil, 16, true},
		"a small segment":           {h.Store, segment(4), nil, 4, false},
		"a message with attributes": {h.Store, everyone, []string{"points"}, 100, false},
		"fewer customers than set":  {small, everyone, nil, 100, false},
		"switched off":              {never, everyone, nil, 100, false},
		"a list of customers":       {h.Store, push.Audience{Customers: h.customers[:3]}, nil, 3, false},
	} {
		t.Run(name, func(t *testing.T) {
			x := *h.harness
			x.Store = c.store
			p := (&rosterHarness{&x, h.customers}).page(t, c.audience, c.attributes...)
			check.Equal(t, !p.ReadAt.IsZero(), c.fromRoster, "whether it was read from rosters")
			check.Equal(t, len(p.Members), c.members, "number of members")
		})
	}
}
