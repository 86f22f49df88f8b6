package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

func importLine(t testing.TB, customer, rest string, tokens ...push.Registration) store.ImportLine {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(rest), &members); err != nil {
		t.Fatal(err)
	}
	p, faults := push.ParsePatch(members, "line")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return store.ImportLine{Customer: customer, Tokens: tokens, Patch: p}
}

// imports hands lines in and wants the store to do its part.
func (w *harness) imports(t testing.TB, lines ...store.ImportLine) ([]error, []push.Event) {
	t.Helper()
	refused, events, err := w.ImportCustomers(t.Context(), lines)
	if err != nil {
		t.Fatalf("w.ImportCustomers: %v", err)
	}
	check.MustEqual(t, len(refused), len(lines), "number of entries in refused")
	return refused, events
}

func a(token string) push.Registration {
	return push.Registration{Kind: push.KindToken, Value: token, Platform: push.Android}
}

// writes counts what commits carry.
type writes struct{ n atomic.Int64 }

func (c *writes) intercept(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if r, ok := req.(*pb.CommitRequest); ok {
		c.n.Add(int64(len(r.Writes)))
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}

func TestImportingAgainWritesNothing(t *testing.T) {
	t.Parallel()
	c := &writes{}
	w := newHarness(t, grpc.WithUnaryInterceptor(c.intercept))
	lines := importLines(t, "c", 500)
	refused, events := w.imports(t, lines...)
	err := errors.Join(refused...)
	if err != nil {
		t.Fatalf("lines were refused: %v", err)
	}
	check.MustEqual(t, len(events), 0, "number of entries in events")
	check.MustEqual(t, w.Count("outbox"), 0, "number of events in the outbox")
	before, written := w.dump(t), c.n.Load()
	check.MustEqual(t, len(before), 500+700, "number of documents after the import")
	check.MustEqual(t, written, 1200, "writes of the import")
	w.clock.Add(time.Hour)
	w.imports(t, lines...)
	check.Equal(t, c.n.Load(), written, "writes after importing again")
	check.Equal(t, w.dump(t), before, "documents after importing again")
	x := w.customer(t, "c-0000007")
	check.Equal(t, x.HasValidToken(), true, "x.Reachable()")
	check.Equal[any](t, x.Attributes["points"], int64(12), `x.Attributes["points"]`)
	check.Equal(t, len(x.Segments), 2, "len(x.Segments)")
}

// TestImportKeepsWhatDevicesReported: an older file does not change what devices and
// FCM reported since.
func TestImportKeepsWhatDevicesReported(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	old := w.clock.Now().Add(-time.Hour)
	line := importLine(t, "anna", `{}`, a("flagged"), a("moves"), push.Registration{Kind: push.KindToken, Value: "stays", AddedAt: old})
	w.imports(t, line)
	x := w.tokenOf(t, "anna", "stays")
	check.Equal(t, x.AddedAt, old, "x.AddedAt")
	check.Equal(t, x.SeenAt, w.clock.Now(), "x.SeenAt")
	w.clock.Add(time.Hour)
	w.flag(t, "m", "anna", "flagged", w.clock.Now())
	w.register(t, "bert", "moves")
	w.clock.Add(time.Hour)
	refused, events := w.imports(t, line)
	if refused[0] == nil {
		t.Fatal("the line was stored, want it refused")
	}
	if !strings.Contains(refused[0].Error(), "tokens[1] belongs to another customer") {
		t.Errorf("%q, want it to contain %q", refused[0].Error(), "tokens[1] belongs to another customer")
	}
	check.Equal(t, len(events), 0, "number of entries in events")
	line.Tokens = append(line.Tokens[:1], line.Tokens[2:]...)
	refused, events = w.imports(t, line)
	if refused[0] != nil {
		t.Errorf("the line was refused: %v, want it stored", refused[0])
	}
	check.Equal(t, len(events), 0, "number of entries in events")
	check.Equal(t, w.tokenOf(t, "anna", "flagged").Valid(), false, `w.tokenOf(t, "anna", "flagged").Valid()`)
	w.tokenOf(t, "bert", "moves")
	// But what the file knows to be newer it may say.
	newer := push.Registration{Kind: push.KindToken, Value: "moves", SeenAt: w.clock.Now()}
	refused, events = w.imports(t, importLine(t, "anna", `{}`, newer))
	if refused[0] != nil {
		t.Errorf("the line was refused: %v, want it stored", refused[0])
	}
	check.Equal(t, kinds(events), "bert=false", "kinds(events)")
	w.tokenOf(t, "anna", "moves")
}

// TestLinesComeOneAfterTheOther: a customer or token that is in a file twice has the
// same result as in two files.
func TestLinesComeOneAfterTheOther(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	var lines []store.ImportLine
	for i := range 300 { // more than one transaction
		lines = append(lines, importLine(t, fmt.Sprintf("c%d", i), `{"timeZone": "Europe/Riga"}`, a(fmt.Sprintf("t%d", i))))
	}
	lines = append(lines, importLine(t, "c0", `{"optedOut": true}`, a("more")), importLine(t, "c1", `{"timeZone": "Europe/Oslo"}`), importLine(t, "thief", `{}`, a("t2")))
	refused, _ := w.imports(t, lines...)
	if refused[302] == nil {
		t.Error("a line that takes the token of another customer was stored, want it refused")
	}
	if err := errors.Join(refused[:302]...); err != nil {
		t.Errorf("other lines were refused: %v, want all stored", err)
	}
	c := w.customer(t, "c0")
	check.Equal(t, len(c.Tokens), 2, "number of c0's tokens")
	check.Equal(t, c.OptedOut, true, "whether c0 is opted out")
	check.Equal(t, c.TimeZone, "Europe/Riga", "c0's time zone")
	c = w.customer(t, "c1")
	check.Equal(t, len(c.Tokens), 1, "number of c1's tokens")
	check.Equal(t, c.TimeZone, "Europe/Oslo", "c1's time zone")
	if _, err := w.ReadCustomer(t.Context(), "thief"); !push.IsNotFound(err) {
		t.Errorf("a refused line left a customer: %v", err)
	}
}

// TestImportHasEventsOfKnownCustomersOnly: customers that the import creates have no
// events.
func TestImportHasEventsOfKnownCustomersOnly(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	if _, err := w.PatchCustomer(t.Context(), "anna", push.CustomerPatch{}); err != nil {
		t.Fatal(err)
	}
	_, events := w.imports(t, importLine(t, "anna", `{}`, a("t")), importLine(t, "bert", `{}`, a("u")))
	check.Equal(t, kinds(events), "anna=true", "import of new and known customers: kinds(events)")
	check.Equal(t, w.Count("outbox"), 1, "import of new and known customers: number of events in the outbox")
}

func TestAnImportKeepsWhatALineDoesNotName(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.imports(t, importLine(t, "anna", `{"optedOut": true, "attributes": {"a": 1, "b": {"c": 2, "d": 3}}, "categories": {"promo": false}}`))
	w.imports(t, importLine(t, "anna", `{"attributes": {"b": {"c": null}}}`, a("t")))
	c := w.customer(t, "anna")
	want := map[string]any{"a": int64(1), "b": map[string]any{"d": int64(3)}}
	check.Equal(t, c.OptedOut, true, "c.OptedOut")
	check.Equal(t, c.Categories["promo"], false, `c.Categories["promo"]`)
	check.Equal(t, c.Attributes, want, "c.Attributes")
}

// TestAnImportPushesOutNoValidToken: a device that registered since counts for
// more than a file.
func TestAnImportPushesOutNoValidToken(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	var file []push.Registration
	for i := range push.MaxTokens {
		file = append(file, a(fmt.Sprintf("t%d", i)))
	}
	line := importLine(t, "anna", `{}`, file...)
	w.imports(t, line)
	w.clock.Add(time.Hour)
	w.register(t, "anna", "new")
	before := w.dump(t)
	refused, _ := w.imports(t, line)
	if refused[0] == nil {
		t.Fatal("the line was stored, want it refused")
	}
	check.Equal(t, w.dump(t), before, "documents after the refused import")
	w.flag(t, "m", "anna", "t5", w.clock.Now())
	if refused, _ := w.imports(t, importLine(t, "anna", `{}`, a("more"))); refused[0] != nil {
		t.Errorf("a flagged token takes the place of another: %v", refused[0])
	}
	if c := w.customer(t, "anna"); len(c.Tokens) != push.MaxTokens {
		t.Errorf("%d tokens", len(c.Tokens))
	}
}
