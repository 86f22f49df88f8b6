package store_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// A day counts customers as they are, by what their valid tokens are, and once.
func TestDayStats(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	platforms := []push.Platform{push.Android, push.IOS, push.Web}
	var lines []store.ImportLine
	for i := range 12 {
		line := store.ImportLine{Customer: fmt.Sprint("c", i)}
		out := i == 11
		line.Patch.OptedOut = &out
		for k := range i % 4 { // none, Android, Android and iOS, all three
			line.Tokens = append(line.Tokens, push.Registration{Kind: push.KindToken, Value: fmt.Sprintf("c%d-token-%d", i, k), Platform: platforms[k]})
		}
		lines = append(lines, line)
	}
	refused, _, err := w.ImportCustomers(t.Context(), lines)
	if err := errors.Join(append(refused, err)...); err != nil {
		t.Fatal(err)
	}
	// The only token of c1 is flagged: it counts no more.
	if _, err := w.FlagToken(t.Context(), store.Flag{Mailing: "m", Customer: "c1", TokenID: push.TokenID("c1-token-0"), Code: push.CodeUnregistered, At: w.clock.Now(), BatchCreatedAt: w.clock.Now()}); err != nil {
		t.Fatal(err)
	}

	for range 2 { // tick may count a day twice
		if err := w.RecordDayStats(t.Context(), "2026-11-26"); err != nil {
			t.Fatal(err)
		}
		w.register(t, "later", "later-token")
	}

	got, err := w.ListDayStats(t.Context(), "2026-11-01", "2026-11-30")
	if err != nil {
		t.Fatal(err)
	}
	want := []push.DayStats{{Day: "2026-11-26", Customers: 12, Reachable: 8, OptedOut: 1, Platforms: map[push.Platform]int64{push.Android: 8, push.IOS: 6, push.Web: 3}}}
	if len(got) == 1 {
		want[0].CountedAt = got[0].CountedAt
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the statistics (-want +got):\n%s", diff)
	}
	for day, want := range map[string]bool{"2026-11-26": true, "2026-11-27": false} {
		has, err := w.HasDayStats(t.Context(), day)
		if err != nil {
			t.Fatal(err)
		}
		if has != want {
			t.Errorf("%s is counted: %v, want %v", day, has, want)
		}
	}
	before, err := w.ListDayStats(t.Context(), "2026-11-01", "2026-11-25")
	if err != nil {
		t.Fatalf("the days before: %v", err)
	}
	check.Equal(t, len(before), 0, "the days before: number of entries in before")
}
