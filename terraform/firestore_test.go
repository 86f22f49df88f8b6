package terraform_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "cloud.google.com/go/firestore"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"carillon.example/emulators/firestore"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

const indexesFile = "../firestore.indexes.json"

// holdToIndexes returns a store on an embedded server. As the service does, the server
// refuses queries for which the file declares no index.
func holdToIndexes(t *testing.T, indexes []byte) *store.Store {
	t.Helper()
	srv, err := firestore.Start("127.0.0.1:0", firestore.Options{RequireIndexes: indexes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	conn, err := grpc.NewClient("passthrough:///"+srv.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	db, err := sdk.NewClient(context.Background(), "demo-terraform", option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return store.New(db, store.Options{RostersFrom: 1})
}

// queries has the queries that need a composite index.
var queries = map[string]func(context.Context, *store.Store) error{
	"the sums of a mailing": func(ctx context.Context, s *store.Store) error {
		_, err := s.ReadTotals(ctx, &push.Mailing{ID: "m1"})
		return err
	},
	"the mailings in a state": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.ListMailings(ctx, push.Sending, "", 10, "")
		return err
	},
	"the mailings with a tag": func(ctx context.Context, s *store.Store) error {
		_, _, err := s.ListMailings(ctx, "", "spring", 10, "")
		return err
	},
	"the changes of rosters": readRosterTwice,
}

// readRosterTwice reads everyone in the range of one roster. The first read makes the roster,
// and the second one queries what has changed since.
func readRosterTwice(ctx context.Context, s *store.Store) error {
	if _, err := s.RegisterToken(ctx, "anna", push.Registration{Kind: push.KindToken, Value: "t"}); err != nil {
		return err
	}
	a, err := s.OpenAudience(ctx, push.NewMailing("m1", "", push.Draft{Audience: push.Audience{Everyone: true}}, time.Now()))
	if err != nil {
		return err
	}

	key := push.CustomerKey("anna")
	for range 2 {
		if _, err := a.ReadPage(ctx, key[:2], key, 1000); err != nil {
			return err
		}
	}
	return nil
}

func TestIndexesServeTheCode(t *testing.T) {
	t.Parallel()
	s := holdToIndexes(t, []byte(read(t, indexesFile)))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for what, query := range queries {
		if err := query(ctx, s); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := s.ReadTotals(ctx, createMailingOfAllSums(ctx, t, s)); err != nil {
		t.Errorf("the sums of every platform and variant: %v", err)
	}
	if _, _, err := s.ListMailings(ctx, "", "", 10, ""); err != nil {
		t.Errorf("all mailings: %v", err)
	}
	if _, _, err := s.ListMailings(ctx, push.Sending, "spring", 10, ""); err != nil {
		t.Errorf("the mailings in a state with a tag: %v", err)
	}
	if _, err := s.ReadUnflagProgress(ctx, &push.Mailing{ID: "m1", Unflag: &push.Unflag{State: push.UnflagRunning}}); err != nil {
		t.Errorf("the progress of an unflag: %v", err)
	}
	if _, err := s.ListWaitingBatches(ctx, "m1", time.Now(), 10); err != nil {
		t.Errorf("the batches that wait for hours: %v", err)
	}
	if _, err := s.ReadLastWaitingTime(ctx, "m1"); err != nil {
		t.Errorf("the last batch that waits for hours: %v", err)
	}
	if _, err := s.ListStalledUnflags(ctx); err != nil {
		t.Errorf("the unflags without progress: %v", err)
	}
	if _, err := s.ExpireTokens(ctx, store.ExpiryCursor{}, 10); err != nil {
		t.Errorf("the tokens to expire: %v", err)
	}
	if _, err := s.ListUnpublishedEvents(ctx, 10); err != nil {
		t.Errorf("the outbox: %v", err)
	}
	if _, _, err := s.ListInvalidTokens(ctx, "m1", 10, ""); err != nil && !push.IsNotFound(err) {
		t.Errorf("the invalid tokens of a mailing: %v", err)
	}
}

// createMailingOfAllSums creates a mailing with as many variants as are allowed, and with
// a token of each platform: its sums take every aggregation query.
func createMailingOfAllSums(ctx context.Context, t *testing.T, s *store.Store) *push.Mailing {
	t.Helper()
	d := push.Draft{Audience: push.Audience{Everyone: true}}
	for i := range push.MaxVariants {
		d.Variants = append(d.Variants, push.Variant{Name: fmt.Sprint("v", i), Share: 0.2, Message: json.RawMessage(`{"data":{"a":"b"}}`)})
	}
	m := push.NewMailing("all-sums", "", d, time.Now())
	if _, _, err := s.CreateMailing(ctx, m); err != nil {
		t.Fatal(err)
	}
	if _, err := s.StartMailing(ctx, m.ID, push.AllDevices, nil, []push.Shard{{Mailing: m.ID}}); err != nil {
		t.Fatal(err)
	}
	sh, err := s.ReadShard(ctx, m.ID, 0)
	if err != nil {
		t.Fatal(err)
	}

	b := &push.Batch{BatchRef: push.BatchRef{Mailing: m.ID, Batch: "00-000000"}, Variants: len(d.Variants)}
	for i, p := range []push.Platform{push.Android, push.IOS, push.Web, ""} {
		b.Targets = append(b.Targets, push.Target{Customer: fmt.Sprint("c", i), Token: fmt.Sprint("t", i), Kind: push.KindToken, Platform: p, Variant: i})
	}
	b.Results = make([]push.Result, len(b.Targets))
	if err := s.CreateBatches(ctx, sh, []*push.Batch{b}); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestNoIndexIsForNothing checks that the queries are refused without the declared
// indexes. This shows that TestIndexesServeTheCode can fail.
func TestNoIndexIsForNothing(t *testing.T) {
	t.Parallel()
	s := holdToIndexes(t, []byte(`{"indexes": [], "fieldOverrides": []}`))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for what, query := range queries {
		if query(ctx, s) == nil {
			t.Errorf("%s: the query works without its index, want an error", what)
		}
	}
}

type override struct {
	CollectionGroup, FieldPath string
	TTL                        bool
	Indexes                    []any
}

func overrides(t *testing.T) []override {
	t.Helper()
	var file struct {
		FieldOverrides []override
	}
	if err := json.Unmarshal([]byte(read(t, indexesFile)), &file); err != nil {
		t.Fatal(err)
	}
	return file.FieldOverrides
}

// TestTTL checks that there is a TTL policy for every collection whose documents get an
// expireAt.
func TestTTL(t *testing.T) {
	t.Parallel()
	const perDocument = `firestore:"(expireAt)(?:,omitempty)?"`
	written := map[string]string{"mailings": "mailing.go", "batches": "batch.go", "shards": "shard.go", "audience": "listed.go", "outbox": "outbox.go", "unflags": "unflag.go", "controls": "controls.go", "instances": "instances.go", "erasures": "erase.go", "messages": "message.go", "reports": "report.go", "deliveryData": "delivery_data.go", "rosters": "roster.go"}
	var ttl []string
	for _, o := range overrides(t) {
		if !o.TTL {
			continue
		}
		ttl = append(ttl, o.CollectionGroup)
		if o.FieldPath != "expireAt" {
			t.Errorf("%s: the TTL field is %s, want expireAt", o.CollectionGroup, o.FieldPath)
		}
		if len(o.Indexes) != 0 || o.Indexes == nil { // a missing list would leave the default indexes
			t.Errorf("%s.%s has the indexes %v, want an empty list", o.CollectionGroup, o.FieldPath, o.Indexes)
		}
		if len(found(perDocument, read(t, "../shared/store", written[o.CollectionGroup]))) != 1 {
			t.Errorf("shared/store does not write expireAt to %s", o.CollectionGroup)
		}
	}
	slices.Sort(ttl)
	if want := []string{"audience", "batches", "controls", "deliveryData", "erasures", "instances", "mailings", "messages", "outbox", "reports", "rosters", "shards", "unflags"}; !slices.Equal(ttl, want) {
		t.Errorf("TTL policies on %v, want %v", ttl, want)
	}
	if !slices.Equal(found(perDocument, glob(t, "../shared/store/*.go")), []string{"expireAt"}) {
		t.Error("shared/store does not write expireAt")
	}
}

// TestExemptFields checks that every exempt field is a field of the code.
func TestExemptFields(t *testing.T) {
	t.Parallel()
	code := glob(t, "../shared/store/*.go")
	for _, o := range overrides(t) {
		if len(found(`"(`+o.FieldPath+`)[",.]`, code)) == 0 {
			t.Errorf("shared/store has no field %s (%s)", o.FieldPath, o.CollectionGroup)
		}
	}
}

// TestFirebaseCLIDeploysToTheSameDatabase checks that `firebase deploy` deploys the same
// files to the same database. Without a name it would replace the rules of the project's
// default database, which apps may use. One object, not a list: of a list Google's
// emulator reads no rules.
func TestFirebaseCLIDeploysToTheSameDatabase(t *testing.T) {
	t.Parallel()
	type firestoreConfig struct{ Database, Rules, Indexes string }
	var got struct{ Firestore firestoreConfig }
	if err := json.Unmarshal([]byte(read(t, "../firebase.json")), &got); err != nil {
		t.Fatalf("decoding firebase.json: %v", err)
	}

	want := firestoreConfig{Database: unquote(variablesOf(t)["database"].Default), Rules: "firestore.rules", Indexes: "firestore.indexes.json"}
	if diff := cmp.Diff(want, got.Firestore); diff != "" {
		t.Errorf("firebase.json differs from Terraform (-Terraform +firebase.json):\n%s", diff)
	}

	for _, file := range []string{want.Rules, want.Indexes} {
		if !strings.Contains(read(t, "firestore.tf"), `file("${path.module}/../`+file+`")`) {
			t.Errorf("firestore.tf does not read %s", file)
		}
	}
}
