package store_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	cloudfs "cloud.google.com/go/firestore"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// importLines are n customers with 1.4 tokens each.
func importLines(t testing.TB, prefix string, n int) []store.ImportLine {
	t.Helper()
	lines := make([]store.ImportLine, n)
	for i := range lines {
		id := fmt.Sprintf("%s-%07d", prefix, i)
		patch, faults := push.ParsePatch(map[string]json.RawMessage{
			"segments":   json.RawMessage(`["riga", "club"]`),
			"attributes": json.RawMessage(`{"first_name": "Anna", "points": 12}`),
		}, "line")
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		lines[i] = store.ImportLine{Customer: id, Patch: patch}
		for j := range 1 + (i%5)%2 {
			lines[i].Tokens = append(lines[i].Tokens, push.Registration{
				Kind: push.KindToken, Value: fmt.Sprintf("%s-token-%d:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx", id, j), Platform: push.Android, App: "shop",
			})
		}
	}
	return lines
}

// BenchmarkImport prints customers a second, and how that compares with
// writing the very same documents by the client's BulkWriter, which neither
// reads what is there nor keeps a customer and their tokens together.
func BenchmarkImport(b *testing.B) {
	const n = 2000
	w := newHarness(b)
	var ours, bulk time.Duration
	for i := range b.N {
		lines := importLines(b, fmt.Sprintf("c%d", i), n)
		start := time.Now()
		refused, _, err := w.ImportCustomers(b.Context(), lines)
		ours += time.Since(start)
		for _, r := range refused {
			if err == nil {
				err = r
			}
		}
		if err != nil {
			b.Fatal(err)
		}
		other := newHarness(b)
		docs := w.dump(b)
		start = time.Now()
		other.bulk(b, docs)
		bulk += time.Since(start)
		w = newHarness(b)
	}
	b.ReportMetric(float64(n*b.N)/ours.Seconds(), "customers/s")
	b.ReportMetric(bulk.Seconds()/ours.Seconds(), "times-bulkwriter")
}

// dump reads the customers and tokens of a harness.
func (w *harness) dump(t testing.TB) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	for _, name := range []string{"customers", "tokens"} {
		snaps, err := w.DB().Collection(name).Documents(t.Context()).GetAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, snap := range snaps {
			out[name+"/"+snap.Ref.ID] = snap.Data()
		}
	}
	return out
}

func (w *harness) bulk(t testing.TB, docs map[string]map[string]any) {
	t.Helper()
	bw := w.DB().BulkWriter(t.Context())
	var jobs []*cloudfs.BulkWriterJob
	for path, data := range docs {
		job, err := bw.Set(w.DB().Doc(path), data)
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, job)
	}
	bw.End()
	for _, job := range jobs {
		if _, err := job.Results(); err != nil {
			t.Fatal(err)
		}
	}
}
