package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

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
func (w *world) imports(t testing.TB, lines ...store.ImportLine) ([]error, []push.Event) {
	t.Helper()
	refused, events, err := w.ImportCustomers(t.Context(), lines)
	if err != nil || len(refused) != len(lines) {
		t.Fatalf("%d answers, %v", len(refused), err)
	}
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
	w := newWorld(t, grpc.WithUnaryInterceptor(c.intercept))
	lines := importLines(t, "c", 500)
	refused, events := w.imports(t, lines...)
	if err := errors.Join(refused...); err != nil || len(events) != 0 || w.Count("outbox") != 0 {
		t.Fatalf("%v; events %s", err, kinds(events))
	}
	before, written := w.dump(t), c.n.Load()
	if len(before) != 500+700 || written != 1200 {
		t.Fatalf("%d documents, %d writes", len(before), written)
	}
	w.clock.Add(time.Hour)
	w.imports(t, lines...)
	if c.n.Load() != written || !reflect.DeepEqual(w.dump(t), before) {
		t.Errorf("importing again wrote %d documents", c.n.Load()-written)
	}
	if x := w.customer(t, "c-0000007"); !x.HasValidToken() || x.Attributes["points"] != int64(12) || len(x.Segments) != 2 {
		t.Errorf("%+v", x)
	}
}

// TestAFileIsNoDevice: what devices and FCM said since stays.
func TestAFileIsNoDevice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.clock.Now().Add(-time.Hour)
	line := importLine(t, "anna", `{}`, a("dies"), a("moves"), push.Registration{Kind: push.KindToken, Value: "stays", AddedAt: old})
	w.imports(t, line)
	if x := w.tokenOf(t, "anna", "stays"); !x.AddedAt.Equal(old) || !x.SeenAt.Equal(w.clock.Now()) {
		t.Errorf("%+v", x)
	}
	w.clock.Add(time.Hour)
	w.flag(t, "m", "anna", "dies", w.clock.Now())
	w.register(t, "bert", "moves")
	w.clock.Add(time.Hour)
	refused, events := w.imports(t, line)
	if refused[0] == nil || !strings.Contains(refused[0].Error(), "tokens[1] belongs to another customer") || len(events) != 0 {
		t.Errorf("%v %s", refused[0], kinds(events))
	}
	line.Tokens = append(line.Tokens[:1], line.Tokens[2:]...)
	if refused, events = w.imports(t, line); refused[0] != nil || len(events) != 0 || w.tokenOf(t, "anna", "dies").Valid() {
		t.Errorf("%v %s; the dead token is valid: %v", refused[0], kinds(events), w.tokenOf(t, "anna", "dies").Valid())
	}
	w.tokenOf(t, "bert", "moves")
	// But what the file knows to be newer it may say.
	newer := push.Registration{Kind: push.KindToken, Value: "moves", SeenAt: w.clock.Now()}
	refused, events = w.imports(t, importLine(t, "anna", `{}`, newer))
	if refused[0] != nil || kinds(events) != "bert=false" {
		t.Errorf("%v %s", refused[0], kinds(events))
	}
	w.tokenOf(t, "anna", "moves")
}

// TestLinesComeOneAfterTheOther: what is given twice in a file is as if it had
// been handed in twice.
func TestLinesComeOneAfterTheOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var lines []store.ImportLine
	for i := range 300 { // more than one transaction
		lines = append(lines, importLine(t, fmt.Sprintf("c%d", i), `{"timeZone": "Europe/Riga"}`, a(fmt.Sprintf("t%d", i))))
	}
	lines = append(lines, importLine(t, "c0", `{"optedOut": true}`, a("more")), importLine(t, "c1", `{"timeZone": "Europe/Oslo"}`), importLine(t, "thief", `{}`, a("t2")))
	refused, _ := w.imports(t, lines...)
	if refused[302] == nil || errors.Join(refused[:302]...) != nil {
		t.Errorf("refused: %v", errors.Join(refused...))
	}
	if c := w.customer(t, "c0"); len(c.Tokens) != 2 || !c.OptedOut || c.TimeZone != "Europe/Riga" {
		t.Errorf("%+v", c)
	}
	if c := w.customer(t, "c1"); len(c.Tokens) != 1 || c.TimeZone != "Europe/Oslo" {
		t.Errorf("%+v", c)
	}
	if _, err := w.Customer(t.Context(), "thief"); !push.IsNotFound(err) {
		t.Errorf("a refused line left a customer: %v", err)
	}
}

// TestAnImportTellsOfCustomersKnownBefore and of no others.
func TestAnImportTellsOfCustomersKnownBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.PatchCustomer(t.Context(), "anna", push.CustomerPatch{}); err != nil {
		t.Fatal(err)
	}
	_, events := w.imports(t, importLine(t, "anna", `{}`, a("t")), importLine(t, "bert", `{}`, a("u")))
	if kinds(events) != "anna=true" || w.Count("outbox") != 1 {
		t.Errorf("told %s, %d in the outbox", kinds(events), w.Count("outbox"))
	}
}

func TestAnImportKeepsWhatALineDoesNotName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.imports(t, importLine(t, "anna", `{"optedOut": true, "attributes": {"a": 1, "b": {"c": 2, "d": 3}}, "categories": {"promo": false}}`))
	w.imports(t, importLine(t, "anna", `{"attributes": {"b": {"c": null}}}`, a("t")))
	c := w.customer(t, "anna")
	want := map[string]any{"a": int64(1), "b": map[string]any{"d": int64(3)}}
	if !c.OptedOut || c.Categories["promo"] || !reflect.DeepEqual(c.Attributes, want) {
		t.Errorf("%+v", c)
	}
}

// TestAnImportPushesOutNoValidToken: a device that registered since counts for
// more than a file.
func TestAnImportPushesOutNoValidToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var file []push.Registration
	for i := range push.MaxTokens {
		file = append(file, a(fmt.Sprintf("t%d", i)))
	}
	line := importLine(t, "anna", `{}`, file...)
	w.imports(t, line)
	w.clock.Add(time.Hour)
	w.register(t, "anna", "new")
	before := w.dump(t)
	if refused, _ := w.imports(t, line); refused[0] == nil || !reflect.DeepEqual(w.dump(t), before) {
		t.Errorf("%v; %d documents, before %d", refused[0], len(w.dump(t)), len(before))
	}
	w.flag(t, "m", "anna", "t5", w.clock.Now())
	if refused, _ := w.imports(t, importLine(t, "anna", `{}`, a("more"))); refused[0] != nil {
		t.Errorf("a dead token takes the place of another: %v", refused[0])
	}
	if c := w.customer(t, "anna"); len(c.Tokens) != push.MaxTokens {
		t.Errorf("%d tokens", len(c.Tokens))
	}
}
