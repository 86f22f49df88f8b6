package dispatch

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/official"
	"carillon.example/shared/push"
)

// The largest batches that are created stay within what Firestore takes of a
// document, whatever becomes of them: here every token is found invalid, and every
// customer's id is as long as can be, and grows in JSON.
func TestTheLargestBatchesFitADocument(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	m := w.mailing(t, "m", nil)
	at := w.clock.Now()
	perCommit := pageBytes / batchBytes // as pages do
	if official.External(official.Firestore) {
		perCommit = 4 // Google's emulator takes 4 MiB a request, the service 10 MiB
	}
	if _, err := w.StartMailing(t.Context(), m.ID, push.AllDevices, nil, []push.Shard{{Mailing: m.ID}}); err != nil {
		t.Fatal(err)
	}
	sh, err := w.ReadShard(t.Context(), m.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]push.Target{
		"short ids":       {Customer: "c"},
		"quotes":          {Customer: strings.Repeat(`"`, push.MaxCustomerID)},
		"line separators": {Customer: strings.Repeat("\u2028", push.MaxCustomerID/3)},
		"emoji":           {Customer: strings.Repeat("🔔", push.MaxCustomerID/4)},
		"long tokens":     {Customer: "c", Token: strings.Repeat("t", push.MaxToken-10)},
		"attributes":      {Customer: "c", Attributes: map[string]any{"name": strings.Repeat("é", 4000)}},
	} {
		t.Run(name, func(t *testing.T) {
			x.Kind, x.Platform = push.KindToken, push.Android
			targets := make([]push.Target, 1200)
			for i := range targets {
				targets[i] = x
				targets[i].Token += fmt.Sprintf("token-%04d", i)
			}
			c := &shardRun{dispatcher: w.d, mailing: m, shard: sh, lane: push.LaneLarge}
			batches := c.splitIntoBatches(targets)
			for chunk := range slices.Chunk(batches, perCommit) {
				sh.After += "x"
				if err := w.CreateBatches(t.Context(), sh, chunk); err != nil {
					t.Fatalf("%s: batches of %d: %v", name, len(chunk[0].Targets), err)
				}
			}
			n := 0
			for _, b := range batches {
				n += len(b.Targets)
				stored, err := w.ReadBatch(t.Context(), b.BatchRef)
				if err != nil {
					t.Fatal(err)
				}
				if err := w.LeaseBatch(t.Context(), stored, push.Lease{Owner: "me", Until: at.Add(time.Minute)}); err != nil {
					t.Fatal(err)
				}
				stored.Reason = strings.Repeat("x", 500)
				for i, target := range stored.Targets {
					stored.Results[i] = push.ResultInvalidArgument
					stored.OwedFlags = append(stored.OwedFlags, i)
					stored.InvalidTokens = append(stored.InvalidTokens, push.InvalidToken{Customer: target.Customer, TokenID: push.TokenID(target.Token),
						Code: push.CodeInvalidArgument, Status: push.CodeInvalidArgument, At: at.Add(123456789)})
				}
				if err := w.SaveBatch(t.Context(), stored); err != nil {
					t.Errorf("%s: %d invalid tokens: %v", name, len(stored.InvalidTokens), err)
				}
			}
			if n != len(targets) {
				t.Errorf("%s: %d of %d targets were created", name, n, len(targets))
			}
		})
	}
}
