package dispatch

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

var rosterCustomers = flag.Int("roster-customers", 100_000, "customers of BenchmarkRosters")

// BenchmarkRosters measures how long dispatch takes to put a mailing to everyone into batches:
// from the documents of customers, from rosters that it has to make, and from rosters of which
// one customer in a hundred has changed. It prints the ratios to the first.
func BenchmarkRosters(b *testing.B) {
	cloud := testcloud.New(b)
	db := cloud.DB()
	documents := store.New(db, store.Options{})
	rosters := store.New(db, store.Options{RostersFrom: 1, RosterSlack: time.Second})
	importPeople(b, documents, *rosterCustomers)

	for range b.N {
		took := map[string]time.Duration{}
		for i, run := range []struct {
			name   string
			store  *store.Store
			change bool
		}{{"documents", documents, false}, {"missing", rosters, false}, {"changed", rosters, true}} {
			if run.change {
				changePeople(b, documents, *rosterCustomers/100)
			}
			began := time.Now()
			dispatchToEveryone(b, run.store, fmt.Sprintf("m%d", i))
			took[run.name] = time.Since(began)
			b.ReportMetric(took[run.name].Seconds(), run.name+"-s")
			b.ReportMetric(took[run.name].Seconds()/took["documents"].Seconds(), run.name+"-ratio")
		}
	}
}

// importPeople imports customers with one or two tokens of the size of FCM's.
func importPeople(b *testing.B, s *store.Store, n int) {
	const part = 5000
	for from := 0; from < n; from += part {
		var lines []store.ImportLine
		for i := from; i < min(n, from+part); i++ {
			line := store.ImportLine{Customer: fmt.Sprintf("customer-%08d", i)}
			for j := range 1 + i%5%2 {
				value := fmt.Sprintf("t%08d-%d:%s", i, j, strings.Repeat("x", 130))
				line.Tokens = append(line.Tokens, push.Registration{Kind: push.KindToken, Value: value, Platform: push.Android})
			}
			lines = append(lines, line)
		}
		if _, _, err := s.ImportCustomers(b.Context(), lines); err != nil {
			b.Fatal(err)
		}
	}
}

// changePeople registers one more token for some customers.
func changePeople(b *testing.B, s *store.Store, n int) {
	for i := range n {
		id := fmt.Sprintf("customer-%08d", i)
		if _, err := s.RegisterToken(b.Context(), id, push.Registration{Kind: push.KindToken, Value: id + ":new", Platform: push.Android}); err != nil {
			b.Fatal(err)
		}
	}
}

// dispatchToEveryone handles the messages of a mailing to everyone until every customer is in a
// batch. The quota is so large that dispatch does not wait.
func dispatchToEveryone(b *testing.B, s *store.Store, id string) {
	queue := &board{now: time.Now, fail: func(string) error { return nil }}
	d := newDispatcher(Deps{Store: s, Queue: queue, CallTimeout: time.Hour, QuotaPerMinute: 1_000_000_000})
	draft := push.Draft{Message: []byte(`{"notification":{"title":"x"}}`), Audience: push.Audience{Everyone: true}}
	if _, _, err := s.CreateMailing(b.Context(), push.NewMailing(id, id, draft, time.Now())); err != nil {
		b.Fatal(err)
	}

	todo := []push.DispatchMessage{{Mailing: id, Shard: push.DispatchStart}}
	for len(todo) > 0 {
		queue.messages = nil
		if err := d.handleMessage(b.Context(), todo[0]); err != nil {
			b.Fatal(err)
		}
		todo = append(todo[1:], queue.messages...)
	}

	m, err := s.ReadMailing(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	totals, err := s.ReadTotals(b.Context(), m)
	if err != nil {
		b.Fatal(err)
	}
	if got := totals.Customers.Targeted; got != int64(*rosterCustomers) {
		b.Fatalf("%d customers are in batches, want %d", got, *rosterCustomers)
	}
}
