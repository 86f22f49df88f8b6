package deliver

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/storetest"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

// TestOneLongWaitHoldsNoOtherTarget: a token that asked for an hour is skipped
// until then, and the others go on when their own time has come.
func TestOneLongWaitHoldsNoOtherTarget(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	tokens := names("t", 2)
	hour := phones.Outcome{Token: tokens[0], Outcome: "QUOTA_DEVICE", RetryAfter: time.Hour}
	seconds := phones.Outcome{Token: tokens[1], Outcome: "QUOTA_DEVICE", RetryAfter: 40 * time.Second}
	if err := w.phones.SetOutcomes(hour, seconds); err != nil {
		t.Fatal(err)
	}
	ref := w.mailing("m", true, tokens...)
	w.deliver(ref)
	b, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if wait := b.NotBefore.Sub(w.clock.Now()); wait > 40*time.Second {
		t.Errorf("the batch waits %v, want at most the shorter wait, 40s", wait)
	}

	w.phones.ClearOutcomes()
	w.clock.Add(45 * time.Second)
	before := w.phones.Stats().Requests
	w.deliver(ref)
	if n := w.phones.Stats().Requests - before; n != 1 {
		t.Errorf("%d requests after 45s, want 1: the other token asked for an hour", n)
	}
	if b, err = w.ReadBatch(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if wait := b.NotBefore.Sub(w.clock.Now()); wait < 50*time.Minute {
		t.Errorf("what is left waits %v, want about an hour", wait)
	}
	w.clock.Add(time.Hour)
	w.deliver(ref)
	if _, totals := w.totals("m"); totals.Accepted != 2 {
		t.Errorf("accepted %d, want 2: %+v", totals.Accepted, totals)
	}
	if n := len(w.d.notes.byBatch); n != 0 {
		t.Errorf("%d batches are remembered after the last one was settled, want 0", n)
	}

	settled, err := w.ListSettledBatches(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	want := []push.SettledBatch{{At: settled[0].At, Tally: push.Tally{push.ResultAccepted: 2}, Limited: 2}}
	if diff := cmp.Diff(want, settled); diff != "" {
		t.Errorf("the settled batches differ (-want +got):\n%s", diff)
	}
	if since := w.clock.Now().Sub(settled[0].At); since < 0 || since > 10*time.Minute {
		t.Errorf("the batch was settled %s ago, want during the last call", since)
	}
}

// TestOnlyWhatIsSentIsCheckedAgain: of an outdated batch the targets that have
// their result are not read, and none is read twice within a minute.
func TestOnlyWhatIsSentIsCheckedAgain(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	read := 0 // targets whose customers were read
	w.deps.Store = storetest.New(w.Store).Before(func(c *storetest.Call) error {
		read += len(storetest.Arg[[]push.Target](c, 1))
		return nil
	}, storetest.RecheckTargets)
	w.d = newDeliverer(w.deps)
	tokens := names("t", 100)
	if err := w.phones.SetOutcomes(phones.Outcome{Token: tokens[7], Outcome: "QUOTA_DEVICE", RetryAfter: 20 * time.Second}); err != nil {
		t.Fatal(err)
	}
	w.deps.CallTimeout = 3 * time.Second
	w.d = newDeliverer(w.deps)
	ref := w.mailing("m", true, tokens...)
	w.deliver(ref)

	w.clock.Add(6 * time.Minute)
	for i, want := range []int{1, 1, 1, 2} { // leased every 25 s
		w.deliver(ref)
		if read != want {
			t.Errorf("lease %d: %d targets were checked, want %d", i+1, read, want)
		}
		w.clock.Add(25 * time.Second)
	}
}

// TestLongNumbersStayWhole: what a customer's attributes hold is what the phone
// shows.
func TestLongNumbersStayWhole(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	for _, n := range []int64{9007199254740993, 12345678901234567, 1234567890123456789, math.MaxInt64, -math.MaxInt64} {
		token := fmt.Sprint("card", n)
		w.register("c-"+token, token)
		patch, faults := push.ParsePatch(map[string]json.RawMessage{"attributes": fmt.Appendf(nil, `{"card":%d}`, n)}, "body")
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		if _, err := w.PatchCustomer(t.Context(), "c-"+token, patch); err != nil {
			t.Fatal(err)
		}
		c, err := w.ReadCustomer(t.Context(), "c-"+token)
		if err != nil {
			t.Fatal(err)
		}
		d := push.Draft{Message: json.RawMessage(`{"notification":{"title":"Card {{ customer.card }}"}}`), Audience: push.Audience{Everyone: true}}
		target := push.Target{Customer: c.ID, Token: token, Kind: push.KindToken, Platform: push.Android, Attributes: c.Attributes}
		w.deliver(w.record(token, true, d, []push.Target{target}))

		want := fmt.Sprintf(`"title":"Card %d"`, n)
		for _, m := range w.phones.Messages(phones.Filter{Mailing: token}) {
			if got := strings.ReplaceAll(string(m.Raw), `": "`, `":"`); !strings.Contains(got, want) {
				t.Errorf("the phone shows %s, want %s", m.Raw, want)
			}
		}
		if got := w.messagesByToken(token)[token]; got != 1 {
			t.Errorf("the phone of %d got %d messages, want 1", n, got)
		}
	}
}

// passing answers the first sends to t-token-0001, as many as pages, with page, instead of
// passing them to FCM.
type passing struct {
	sender
	mu    sync.Mutex // guards seen
	pages int
	seen  map[string]int
	page  fcm.Answer
}

func (p *passing) Send(ctx context.Context, it fcm.Item, answered func(fcm.Answer)) {
	p.mu.Lock()
	p.seen[it.Target]++
	foreign := it.Target == "t-token-0001" && p.seen[it.Target] <= p.pages
	p.mu.Unlock()
	if foreign {
		go answered(p.page)
		return
	}
	p.sender.Send(ctx, it, answered)
}

// TestOneAnswerNotFromFCMPausesNothing: one answer that does not come from FCM is
// asked for again. A second one
// pauses the mailing, and a refusal of our credentials pauses it at once.
func TestOneAnswerNotFromFCMPausesNothing(t *testing.T) {
	t.Parallel()
	page := fcm.Answer{Class: fcm.Misconfigured, HTTP: 404, Text: "HTTP 404: <html>"}
	refused := fcm.Answer{Class: fcm.Misconfigured, HTTP: 403, Text: "no"}
	for name, c := range map[string]struct {
		pages int
		page  fcm.Answer
		want  push.State
	}{"one page": {1, page, push.Completed}, "a second page": {2, page, push.Paused}, "our credentials": {1, refused, push.Paused}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newBatchHarness(t, phones.Options{})
			w.deps.Sender = &passing{sender: w.deps.Sender, pages: c.pages, page: c.page, seen: map[string]int{}}
			w.deps.Sleep = w.clock.Sleep
			w.d = newDeliverer(w.deps)
			w.deliver(w.mailing("m", true, names("t", 3)...))
			m, totals := w.totals("m")
			if m.State != c.want {
				t.Errorf("mailing is %s, want %s: %+v", m.State, c.want, totals)
			}
		})
	}
}

// TestOneProofNotFromFCMRefusesNothing: a proof is asked for once more.
func TestOneProofNotFromFCMRefusesNothing(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	asked := 0
	w.deps.Sender = odd{sender: w.deps.Sender, proof: func(context.Context) fcm.Answer {
		if asked++; asked == 1 {
			return fcm.Answer{Class: fcm.Misconfigured, HTTP: 502, Text: "HTTP 502: <html>"}
		}
		return fcm.Answer{Class: fcm.Accepted}
	}}
	w.deps.Sleep = w.clock.Sleep
	w.d = newDeliverer(w.deps)
	w.deliver(w.mailing("m", false, names("t", 3)...))
	if m, totals := w.totals("m"); m.State != push.Completed {
		t.Errorf("mailing is %s, want %s: %+v", m.State, push.Completed, totals)
	}
}
