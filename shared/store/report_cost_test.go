package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	sdk "cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"carillon.example/emulators/firestore"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// TestWhatReportsCost: reads and writes as the emulator bills them, and what a million
// costs at the list prices of a region.
func TestWhatReportsCost(t *testing.T) {
	t.Parallel()
	srv, err := firestore.Start("127.0.0.1:0", firestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	conn, err := grpc.NewClient("passthrough:///"+srv.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	db, err := sdk.NewClient(t.Context(), "cost", option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w := newHarness(t)
	w.Store = store.New(db, store.Options{Now: w.clock.Now})
	w.starts(t, "m1")
	var targets []push.Target
	for i := range 100 {
		targets = append(targets, w.phone(t, fmt.Sprint("c", i), fmt.Sprint("token-", i)))
	}
	targets = sortedByKey(targets)
	w.settles(t, "m1", 0, targets...)
	w.reports(t, 1, 0, 0, w.report("m1", targets[99].Token, push.ReportDelivered)) // reads the mailing

	about := func(i int, typ push.ReportType, named bool) push.Report {
		r := w.report("m1", targets[i].Token, typ)
		if named {
			r.Customer = targets[i].Customer
		}
		return r
	}
	dayLater := func(r push.Report) push.Report {
		w.clock.Add(25 * time.Hour)
		r.At = w.clock.Now()
		return r
	}
	var burst []push.Report
	for i := 10; i < 90; i++ {
		burst = append(burst, about(i, push.ReportDelivered, true))
	}
	for _, c := range []struct {
		name          string
		list          []push.Report
		reads, writes int64 // at most
	}{
		{"a delivery", []push.Report{about(0, push.ReportDelivered, false)}, 4, 1},
		{"an opening", []push.Report{about(0, push.ReportOpened, false)}, 4, 1},
		{"an opening with the customer", []push.Report{about(1, push.ReportOpened, true)}, 3, 1},
		{"both at once", []push.Report{about(2, push.ReportDelivered, true), about(2, push.ReportOpened, true)}, 3, 1},
		{"a repeated opening", []push.Report{about(0, push.ReportOpened, true)}, 3, 0},
		{"a burst of 80 deliveries", burst, 2*80 + 1, 80},
		{"an opening that counts as activity", []push.Report{dayLater(about(3, push.ReportOpened, false))}, 4, 2},
		{"a delivery that counts as activity", []push.Report{dayLater(about(4, push.ReportDelivered, true))}, 3, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := srv.Usage()
			done, err := w.RecordReports(t.Context(), c.list, func(context.Context, ...push.Event) error { return nil })
			if err != nil {
				t.Fatalf("recording %s: %v", c.name, err)
			}
			if err := w.MarkEventsPublished(t.Context(), done.Events...); err != nil {
				t.Fatal(err)
			}
			after := srv.Usage()
			reads, writes, deletes := after.Reads-before.Reads, after.Writes-before.Writes, after.Deletes-before.Deletes
			if reads > c.reads {
				t.Errorf("%s took %d reads, want at most %d", c.name, reads, c.reads)
			}
			if writes > c.writes {
				t.Errorf("%s took %d writes, want at most %d", c.name, writes, c.writes)
			}
			// In dollars a million operations; TTL deletes each document that is written.
			usd := (0.3*float64(reads) + 0.9*float64(writes) + 0.1*float64(deletes) + 0.1) / float64(len(c.list))
			if usd > 4 {
				t.Errorf("a million of %s cost $%.2f, want at most $4", c.name, usd)
			}
			t.Logf("%s: %d reads, %d writes, %d deletes, $%.2f a million", c.name, reads, writes, deletes, usd)
		})
	}
}
