package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// rosterSlack is enough for the emulator, whose changedAt is at most a millisecond earlier than
// the commit, and so short that a test can wait until changes are older.
const rosterSlack = 2 * time.Millisecond

// The customers of the model are in three rosters that follow each other, so that a read of a
// few documents reads all of them.
const firstPrefix, middlePrefix, lastPrefix = "7v", "80", "81"

// idsOf returns n ids of customers with a prefix.
func idsOf(prefix string, n int) []string {
	var out []string
	for i := 0; len(out) < n; i++ {
		if id := fmt.Sprintf("customer-%d", i); strings.HasPrefix(push.CustomerKey(id), prefix) {
			out = append(out, id)
		}
	}
	return out
}

var modelCustomers = sync.OnceValue(func() []string {
	return slices.Concat(idsOf(firstPrefix, 3), idsOf(middlePrefix, 3), idsOf(lastPrefix, 2))
})

// modelRange are the bounds of the range of the three rosters.
func modelRange() (after, upto string) {
	return push.LastKeyWith("7u"), push.LastKeyWith(lastPrefix)
}

// A crash makes one commit of a step fail, before or after it is stored, as the end of the
// process would.
type crash struct {
	mu     sync.Mutex
	at     int  // the commit that fails, counted from 1; 0: none
	stored bool // it is stored before it fails
}

var errCrash = status.Error(codes.Internal, "the process ended")

func (c *crash) set(at int, stored bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.stored = at, stored
}

// isNext reports whether this commit is the one that fails, and whether it is stored.
func (c *crash) isNext() (fails, stored bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == 0 {
		return false, false
	}
	c.at--
	return c.at == 0, c.stored
}

func (c *crash) intercept(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, call grpc.UnaryInvoker, o ...grpc.CallOption) error {
	if !strings.HasSuffix(method, "/Commit") {
		return call(ctx, method, req, reply, conn, o...)
	}
	fails, stored := c.isNext()
	if fails && !stored {
		return errCrash
	}
	err := call(ctx, method, req, reply, conn, o...)
	if fails {
		return errCrash
	}
	return err
}

// comparedPages counts the pages that were read from rosters and compared.
type comparedPages struct{ everyone, segments atomic.Int64 }

// count counts a page of an audience; nil is everyone.
func (c *comparedPages) count(selected *push.Segments) {
	if selected == nil {
		c.everyone.Add(1)
		return
	}
	c.segments.Add(1)
}

// A rosterModel does deeds to customers while mailings read them from rosters.
type rosterModel struct {
	*crowd
	crash    crash
	compared *comparedPages // of all cases
}

func newRosterModel(t testing.TB, compared *comparedPages) *rosterModel {
	m := &rosterModel{compared: compared}
	h := newHarness(t, grpc.WithUnaryInterceptor(m.crash.intercept))
	m.crowd = &crowd{harness: h}
	m.Store = store.New(h.DB(), store.Options{Now: m.tick, MaxTokens: 2, RostersFrom: 1, RosterSlack: rosterSlack})
	// Without a customer, and one in the segment, rosters would not be used for the next minutes:
	// their numbers are cached.
	first := modelCustomers()[0]
	for _, d := range []deed{{What: "register", Customer: first, Token: "t1"}, {What: "segment", Customer: first}} {
		if err := m.doDeed(t, d); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.readAudience(t, &push.Segments{Any: []string{"loyal"}}, leastPage); err != nil {
		t.Fatal(err)
	}
	return m
}

// A rosterStep is what happens at the same time in one step of the model.
type rosterStep struct {
	Deeds      []deed
	Mailings   int  // that read everyone
	ToSegment  bool // another mailing reads a segment
	PageSize   int
	CrashAt    int // the commit that fails, 0 for none
	CrashAfter bool
	Wait       bool   // until all changes are older than the slack
	Damage     string // what happens to a roster
}

// leastPage is the smallest page that is read from rosters.
const leastPage = 20

func drawRosterStep(t *rapid.T) rosterStep {
	what := []string{"register", "register", "flag", "unflag", "unregister", "erase", "import", "opt out", "segment", "late flag", "spoil"}
	drawn := rapid.Custom(func(t *rapid.T) deed {
		return deed{
			What:     rapid.SampledFrom(what).Draw(t, "what"),
			Customer: rapid.SampledFrom(modelCustomers()).Draw(t, "customer"),
			Token:    rapid.SampledFrom([]string{"t1", "t2", "t3", "phone", "phone:x"}).Draw(t, "token"),
			Created:  time.Duration(rapid.IntRange(0, 20).Draw(t, "created")) * time.Second,
		}
	})
	return rosterStep{
		Deeds:      rapid.SliceOfN(drawn, 0, 3).Draw(t, "deeds"),
		Mailings:   rapid.SampledFrom([]int{0, 1, 1, 2}).Draw(t, "mailings"),
		ToSegment:  rapid.Bool().Draw(t, "toSegment"),
		PageSize:   rapid.SampledFrom([]int{leastPage, 25, 1000}).Draw(t, "pageSize"),
		CrashAt:    rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "crashAt"),
		CrashAfter: rapid.Bool().Draw(t, "crashAfter"),
		Wait:       rapid.Bool().Draw(t, "wait"),
		Damage:     rapid.SampledFrom([]string{"", "", "", "", "delete", "spoil"}).Draw(t, "damage"),
	}
}

// doDeed does a deed of a customer. The error of a crash is none.
func (m *rosterModel) doDeed(t testing.TB, d deed) error {
	var err error
	switch d.What {
	case "opt out":
		optedOut := d.Created > 10*time.Second
		_, err = m.PatchCustomer(t.Context(), d.Customer, push.CustomerPatch{OptedOut: &optedOut})
	case "segment":
		segments := []string{"loyal"}
		_, err = m.PatchCustomer(t.Context(), d.Customer, push.CustomerPatch{Segments: &segments})
	case "spoil":
		if err = m.spoilCustomer(t, d.Customer); status.Code(err) == codes.NotFound {
			return nil
		}
	default:
		err = m.do(t, d)
	}
	if push.IsNotFound(err) || errors.Is(err, store.ErrUndecodable) {
		return nil
	}
	return ignoreCrash(err)
}

// damageRoster deletes a roster, as TTL does, or spoils its bytes.
func (m *rosterModel) damageRoster(t testing.TB, how string) error {
	ref := m.DB().Doc("rosters/" + middlePrefix)
	switch how {
	case "delete":
		_, err := ref.Delete(t.Context())
		return ignoreCrash(err)
	case "spoil":
		_, err := ref.Update(t.Context(), []firestore.Update{{Path: "data", Value: []byte("spoilt")}})
		if status.Code(err) == codes.NotFound {
			return nil
		}
		return ignoreCrash(err)
	}
	return nil
}

// ignoreCrash returns nil for the error of a crash.
func ignoreCrash(err error) error {
	if err != nil && strings.Contains(err.Error(), errCrash.Error()) {
		return nil
	}
	return err
}

// readAudience reads the range of the model page by page, and compares each page with the
// customers at its read time.
func (m *rosterModel) readAudience(t testing.TB, selected *push.Segments, size int) error {
	draft := push.Draft{Audience: push.Audience{Everyone: selected == nil, Segments: selected}}
	a, err := m.OpenAudience(t.Context(), push.NewMailing("m", "m", draft, m.clock.Now()))
	if err != nil {
		return err
	}

	after, upto := modelRange()
	for after != "" {
		p, err := a.ReadPage(t.Context(), after, upto, size)
		if err != nil {
			return ignoreCrash(err)
		}
		if !p.ReadAt.IsZero() {
			if err := m.comparePage(t, p, selected, after, upto); err != nil {
				return err
			}
		}
		after = p.Last
	}
	return nil
}

// comparePage compares a page with what a read of all customers finds at the same moment.
func (m *rosterModel) comparePage(t testing.TB, p store.AudiencePage, selected *push.Segments, after, upto string) error {
	m.compared.count(selected)
	end := upto
	if p.Last != "" {
		end = p.Last
	}
	q := m.DB().Collection("customers").OrderBy(firestore.DocumentID, firestore.Asc).StartAfter(after).EndAt(end)
	snaps, err := q.WithReadOptions(firestore.ReadTime(p.ReadAt)).Documents(t.Context()).GetAll()
	if err != nil {
		return err
	}

	var want, got []string
	for _, snap := range snaps {
		var segments []string
		c, err := store.DecodeCustomer(snap)
		switch {
		case err == nil:
			segments = c.Segments
		case !errors.Is(err, store.ErrUndecodable):
			return err
		case snap.Data()["segments"] != nil:
			segments = []string{"loyal"} // the model has no other
		}
		if selected == nil || selected.MatchCustomer(segments) {
			want = append(want, snap.Ref.ID+" "+describeCustomer(c))
		}
	}
	for _, x := range p.Members {
		got = append(got, x.Key+" "+describeCustomer(x.Customer))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("the page after %s at %v (-customers +page), which read %+v:\n%s", after, p.ReadAt, p.Reads, diff)
	}
	return nil
}

// describeCustomer returns what dispatch needs of a customer as text. nil is one who cannot be
// decoded.
func describeCustomer(c *push.Customer) string {
	if c == nil {
		return "unknown"
	}
	return fmt.Sprintf("%+v", *c.ForRoster())
}

// run does one step: its deeds and mailings at the same time.
func (m *rosterModel) run(t testing.TB, s rosterStep) error {
	if s.Wait {
		time.Sleep(2 * rosterSlack)
	}
	m.crash.set(s.CrashAt, s.CrashAfter)
	defer m.crash.set(0, false)

	var all sync.WaitGroup
	errs := make([]error, len(s.Deeds)+s.Mailings+2)
	for i, d := range s.Deeds {
		all.Go(func() { errs[i] = m.doDeed(t, d) })
	}
	for i := range s.Mailings {
		all.Go(func() { errs[len(s.Deeds)+i] = m.readAudience(t, nil, s.PageSize) })
	}
	if s.ToSegment {
		all.Go(func() { errs[len(errs)-2] = m.readAudience(t, &push.Segments{Any: []string{"loyal"}}, s.PageSize) })
	}
	all.Go(func() { errs[len(errs)-1] = m.damageRoster(t, s.Damage) })
	all.Wait()
	return errors.Join(errs...)
}

// erasedStay returns an error if a roster has a customer who does not exist.
func (m *rosterModel) erasedStay(t testing.TB) error {
	for _, prefix := range []string{firstPrefix, middlePrefix, lastPrefix} {
		snap, err := m.DB().Doc("rosters/" + prefix).Get(t.Context())
		if status.Code(err) == codes.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		data, err := snap.DataAt("data")
		if err != nil {
			continue // it is empty
		}
		customers, err := push.DecodeRoster(data.([]byte))
		if err != nil {
			continue // it is damaged
		}
		for _, c := range customers {
			if _, err := m.ReadCustomer(t.Context(), c.ID); err != nil && !errors.Is(err, store.ErrUndecodable) {
				return fmt.Errorf("customer %s of roster %s: %w", c.ID, prefix, err)
			}
		}
	}
	return nil
}

// slowServerCases is how many cases Google's emulator gets: it answers a query by looking at
// every document, and other tests use it at the same time.
const slowServerCases = 15

// TestRostersGiveTheSameAudience does what may happen to customers, at the same time as
// mailings, with crashes at each commit. Each page is compared with the customers at its
// read time, and after each step no roster has an erased customer.
func TestRostersGiveTheSameAudience(t *testing.T) {
	t.Parallel()
	var compared comparedPages
	cases := 0
	rapid.Check(t, func(r *rapid.T) {
		if cases++; cases > slowServerCases && os.Getenv("FIRESTORE_EMULATOR_HOST") != "" {
			return
		}
		steps := rapid.SliceOfN(rapid.Custom(drawRosterStep), 4, 12).Draw(r, "steps")
		m := newRosterModel(t, &compared)
		for i, step := range steps {
			if err := errors.Join(m.run(t, step), m.erasedStay(t)); err != nil {
				r.Fatalf("step %d of %+v: %v", i, steps, err)
			}
		}
	})
	if n := compared.everyone.Load(); n < int64(min(cases, slowServerCases)) {
		t.Errorf("%d pages of %d cases were read from rosters, want at least one of a case", n, cases)
	}
	if n := compared.segments.Load(); n < int64(min(cases, slowServerCases)/2) {
		t.Errorf("%d pages of segments of %d cases were read from rosters, want at least one of two cases", n, cases)
	}
}
