package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// losesAll loses the first answer to each commit that was stored. The client
// then commits again.
type losesAll struct{ seen sync.Map }

func (l *losesAll) intercept(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, req, reply, cc, opts...)
	if err != nil || !strings.HasSuffix(method, "/Commit") {
		return err
	}
	commit := proto.Clone(req.(proto.Message)).(*firestorepb.CommitRequest)
	commit.Transaction = nil // a transaction that runs again has another
	key, err := proto.MarshalOptions{Deterministic: true}.Marshal(commit)
	if err != nil {
		return err
	}
	if _, again := l.seen.LoadOrStore(string(key), true); again {
		return nil
	}
	return status.Error(codes.Unavailable, "the connection broke after the commit")
}

// TestLostAnswersChangeNoResult runs every write of the store twice: with each answer,
// and with each first answer to a commit lost. The results of the calls and the stored
// documents have to be the same.
func TestLostAnswersChangeNoResult(t *testing.T) {
	t.Parallel()
	answered := newHarness(t)
	unanswered := newHarness(t, grpc.WithUnaryInterceptor((&losesAll{}).intercept))
	want, got := answered.everyWrite(t), unanswered.everyWrite(t)
	for i, step := range want {
		if diff := cmp.Diff(step, got[i]); diff != "" {
			t.Errorf("%s, its answers lost (-answered +lost):\n%s", step.What, diff)
		}
	}
	if diff := cmp.Diff(answered.dump(t), unanswered.dump(t), ofContent); diff != "" {
		t.Errorf("the customers, answers lost (-answered +lost):\n%s", diff)
	}
	if a, b := answered.Count("outbox"), unanswered.Count("outbox"); a != b {
		t.Errorf("%d events in the outbox, with answers lost %d", a, b)
	}
}

// ofContent leaves out the ids and times of writes, which no two calls share.
var ofContent = cmpopts.IgnoreMapEntries(func(field string, _ any) bool { return field == "write" || field == "changedAt" })

// An answered step is what a call answered, as JSON.
type answered struct {
	What, Answer string
	Failed       bool
}

// everyWrite calls every method of the store that writes, each at least once
// with something to do.
func (w *harness) everyWrite(t *testing.T) (out []answered) {
	t.Helper()
	ctx := t.Context()
	note := func(what string, err error, answer ...any) {
		b, merr := json.Marshal(answer)
		if err := errors.Join(err, merr); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		out = append(out, answered{what, string(b), err != nil})
	}
	register := func(customer, token string) {
		r, err := w.RegisterToken(ctx, customer, push.Registration{Kind: push.KindToken, Value: token, Platform: push.Android})
		note("registering "+token+" for "+customer, err, r.Token, r.Created, r.Events)
	}

	register("anna", "a1")
	register("anna", "a2")
	register("ben", "a2") // it moves
	register("ben", "b1")
	opted := push.CustomerPatch{}
	if err := json.Unmarshal([]byte(`{"segments":["vip"]}`), &opted); err != nil {
		t.Fatal(err)
	}
	c, err := w.PatchCustomer(ctx, "ben", opted)
	note("patching", err, c)
	refused, events, err := w.ImportCustomers(ctx, []store.ImportLine{
		{Customer: "cleo", Tokens: []push.Registration{{Kind: push.KindToken, Value: "c1"}}},
		{Customer: "ben", Tokens: []push.Registration{{Kind: push.KindToken, Value: "b2"}}},
	})
	note("importing", err, refused, events)
	set, err := w.SaveSettings(ctx, push.Settings{Devices: push.LatestDevice}, nil)
	note("changing the settings", err, set.Devices)

	single := push.NewMessage("s1", "digest", push.MessageDraft{Customer: "anna", Message: json.RawMessage(`{}`)}, w.clock.Now())
	_, created, err := w.CreateMessage(ctx, single)
	note("recording a message", err, created)
	if single, err = w.ReadMessage(ctx, "s1"); err != nil {
		t.Fatal(err)
	}
	single.PickTargets(c, set, nil, w.clock.Now())
	note("leasing a message", w.LeaseMessage(ctx, single, push.Lease{Owner: "me", Until: w.clock.Now().Add(time.Minute)}), single.Batch.Leases)
	single.Batch.ReleaseLease(true)
	single.Batch.Settled = true
	single.Batch.ClosePending(push.ResultAccepted)
	note("saving a message", w.SaveMessage(ctx, single), single.State, single.Batch.Settled)

	w.clock.Add(time.Minute)
	m := push.NewMailing("m", "digest", push.Draft{Message: json.RawMessage(`{}`), Audience: push.Audience{Everyone: true}}, w.clock.Now())
	var recorded *push.Mailing
	recorded, created, err = w.CreateMailing(ctx, m)
	note("recording a mailing", err, recorded.ID, created)
	note("proving", w.MarkPayloadProven(ctx, "m"))
	change := func(what string, f func(context.Context, string) (*push.Mailing, error)) {
		m, err := f(ctx, "m")
		if err != nil {
			note(what, err)
			return
		}
		note(what, nil, m.State, m.PausedBecause(), m.PausedFrom)
	}
	change("pausing", w.PauseMailing)
	change("resuming", w.ResumeMailing)
	change("starting", func(ctx context.Context, id string) (*push.Mailing, error) {
		return w.StartMailing(ctx, id, push.AllDevices, nil, []push.Shard{{Mailing: "m"}})
	})

	sh, err := w.ReadShard(ctx, "m", 0)
	if err != nil {
		t.Fatal(err)
	}
	until := w.clock.Now().Add(time.Minute)
	note("taking a shard", w.LeaseShard(ctx, sh, until))
	note("giving it back", w.LeaseShard(ctx, sh, time.Time{}))
	note("taking it again", w.LeaseShard(ctx, sh, until))
	b := &push.Batch{BatchRef: push.BatchRef{Mailing: "m", Batch: "00-000000"}, CreatedAt: w.clock.Now(), Results: make([]push.Result, 2),
		Targets: []push.Target{{Customer: "anna", Token: "a1", Kind: push.KindToken}, {Customer: "ben", Token: "b1", Kind: push.KindToken}}}
	sh.Batches, sh.Targeted, sh.Done = 1, 2, true
	note("creating batches", w.CreateBatches(ctx, sh, []*push.Batch{b}), sh.Batches, sh.Done)
	dispatched, err := w.MarkMailingDispatched(ctx, "m")
	note("marking it dispatched", err, dispatched)
	if b, err = w.ReadBatch(ctx, b.BatchRef); err != nil {
		t.Fatal(err)
	}
	note("leasing", w.LeaseBatch(ctx, b, push.Lease{Owner: "me", Until: until}), b.Leases)
	for _, customer := range []string{"anna", "ben"} {
		token := customer[:1] + "1"
		f, err := w.FlagToken(ctx, store.Flag{Mailing: "m", Customer: customer, TokenID: push.TokenID(token),
			Code: push.CodeUnregistered, At: w.clock.Now(), BatchCreatedAt: w.clock.Now()})
		note("flagging "+token, err, f)
	}
	b.Results = []push.Result{push.ResultUnregistered, push.ResultUnregistered}
	b.InvalidTokens = []push.InvalidToken{{Customer: "anna", TokenID: push.TokenID("a1")}, {Customer: "ben", TokenID: push.TokenID("b1")}}
	note("saving results", w.SaveBatch(ctx, b))
	b.Settled = true
	note("settling", w.SaveBatch(ctx, b))
	m, err = w.FreezeMailing(ctx, "m")
	note("finishing", err, m != nil)
	note("publishing the end", w.MarkCompletedPublished(ctx, "m"))
	n, events, err := w.UnflagTokens(ctx, "m", []store.CustomerTokens{
		{Customer: "anna", Tokens: []string{push.TokenID("a1")}}, {Customer: "ben", Tokens: []string{push.TokenID("b1")}},
	})
	note("taking the flags back", err, n, len(events))

	reported, err := w.RecordReports(ctx, []push.Report{{Of: "m", Customer: "ben", TokenID: push.TokenID("b1"), Type: push.ReportOpened, At: w.clock.Now()}}, publishNothing)
	note("reporting", err, reported)
	events, err = w.UnregisterToken(ctx, "ben", push.TokenID("b1"))
	note("unregistering", err, events)
	_, err = w.EraseCustomer(ctx, "cleo") // its events are published by tick when its answer was lost
	note("erasing", err)
	_, err = w.EraseCustomer(ctx, "ben")
	note("erasing one whose phone reported", err)
	counts, err := w.CountReports(ctx, m)
	note("counting reports", err, counts)
	w.clock.Add(300 * 24 * time.Hour)
	expired, err := w.ExpireTokens(ctx, store.ExpiryCursor{}, 10)
	note("expiring", err, expired.Customers, len(expired.Events))
	owed, err := w.ListUnpublishedEvents(ctx, 100)
	note("listing events", err, len(owed))
	note("forgetting one", w.MarkEventsPublished(ctx, owed[0]))
	return out
}
