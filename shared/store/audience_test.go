package store_test

import (
	"fmt"
	"testing"

	"google.golang.org/grpc"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// TestAudiences reads each kind whole, by pages of two, in the order of keys.
func TestAudiences(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	for i := range 7 {
		w.register(t, fmt.Sprintf("c%d", i), fmt.Sprintf("token-%d", i))
	}
	res, err := w.FlagToken(t.Context(), store.Flag{Mailing: "old", Customer: "c6", TokenID: push.TokenID("token-6"), Code: push.CodeUnregistered,
		At: w.clock.Now(), BatchCreatedAt: w.clock.Now()})
	if err != nil {
		t.Fatalf("flagging: %v", err)
	}
	check.MustEqual(t, res.Set, true, "flagging: res.Set")
	for name, c := range map[string]struct {
		audience push.Audience
		known    int // customers read
		unknown  int
		without  int64 // counted without being read
	}{
		"everyone":  {push.Audience{Everyone: true}, 6, 0, 1},
		"customers": {push.Audience{Customers: []string{"c1", "c1", "c6", "nobody"}}, 2, 1, 0},
		"tokens":    {push.Audience{Tokens: []string{"token-1", "token-2", "token-1", "no-token"}}, 2, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := w.mailing(t, "m-"+name, c.audience)
			a, err := w.OpenAudience(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			known, unknown, without, last := 0, 0, int64(0), ""
			for after := ""; ; {
				p, err := a.ReadPage(t.Context(), after, "", 2)
				if err != nil {
					t.Fatal(err)
				}
				without += p.Excluded.NoValidToken
				for _, x := range p.Members {
					if x.Key <= last {
						t.Errorf("key %s came after %s", x.Key, last)
					}
					last = x.Key
					if x.Customer == nil {
						unknown++
					} else {
						known++
					}
				}
				if after = p.Last; after == "" {
					break
				}
			}
			check.Equal(t, known, c.known, "number of known members")
			check.Equal(t, unknown, c.unknown, "number of unknown members")
			check.Equal(t, without, c.without, "customers without a valid token")
		})
	}
}

// TestSegmentsAreReadByTheSmallest, whatever the order of their names; of any and
// all, too.
func TestSegmentsAreReadByTheSmallest(t *testing.T) {
	t.Parallel()
	read := &documents{}
	w := newHarness(t, grpc.WithStreamInterceptor(read.intercept))
	lines := make([]store.ImportLine, 3000)
	for i := range lines {
		id := fmt.Sprintf("c%d", i)
		segments := []string{"base"}
		if i%1000 == 0 {
			segments = append(segments, "rare")
		}
		lines[i] = store.ImportLine{Customer: id, Tokens: []push.Registration{{Kind: push.KindToken, Value: id, Platform: push.Android}},
			Patch: push.CustomerPatch{Segments: &segments}}
	}
	if _, _, err := w.ImportCustomers(t.Context(), lines); err != nil {
		t.Fatal(err)
	}
	for name, sel := range map[string]push.Segments{
		"large first": {All: []string{"base", "rare"}},
		"small first": {All: []string{"rare", "base"}},
		"any large":   {Any: []string{"base"}, All: []string{"rare"}},
		"any small":   {Any: []string{"rare"}, All: []string{"base"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := push.Draft{Message: []byte(`{}`), Audience: push.Audience{Segments: &sel}}
			a, err := w.OpenAudience(t.Context(), push.NewMailing("m", "m", d, w.clock.Now()))
			if err != nil {
				t.Fatal(err)
			}
			read.n.Store(0)
			p, err := a.ReadPage(t.Context(), "", "", 5000)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Members) != 3 {
				t.Errorf("%d customers, want 3", len(p.Members))
			}
			if n := read.n.Load(); n != 3 {
				t.Errorf("%d documents were read for 3 customers", n)
			}
		})
	}
}
