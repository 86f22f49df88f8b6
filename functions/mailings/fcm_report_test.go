package mailings_test

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud"
	"carillon.example/functions/mailings"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
)

// A mailing shows what FCM reports of its label, where this is set up.
func TestAMailingShowsWhatFCMReports(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	q := queue.New(w.PubSub(), queue.Topics{Dispatch: "dispatch", Messages: "messages"})
	t.Cleanup(q.Stop)
	reporting := testcloud.Serve(t, mailings.New(mailings.Deps{Store: w.store, Queue: q, Log: slog.New(slog.DiscardHandler), Now: w.clock.Now, ShowFCMReport: true}))
	m, silent := w.hand(plain, "Idempotency-Key", "reported"), w.hand(plain, "Idempotency-Key", "silent")
	counts := push.DeliveryCounts{Accepted: 100, Delivered: 90, Pending: 4, Dropped: 2}
	data := []push.DeliveryData{{App: "projects/shop-prod/androidApps/1:2:android:3", Day: "2026-11-01", Label: m.ID, DeliveryCounts: counts}}
	if err := w.store.SaveDeliveryData(t.Context(), w.clock.Now(), data); err != nil {
		t.Fatal(err)
	}

	type shown struct {
		FCMReport *push.DeliveryReport `json:"fcmReport"`
	}
	for name, c := range map[string]struct {
		client *testcloud.Client
		id     string
		want   *push.DeliveryReport
	}{
		"reported":         {reporting, m.ID, &push.DeliveryReport{Label: m.ID, DeliveryCounts: counts, AsOf: w.clock.Now().UTC()}},
		"not reported yet": {reporting, silent.ID, nil},
		"not set up":       {w.Client, m.ID, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := testcloud.Decode[shown](c.client.Ask("GET", "/v1/mailings/"+c.id, ""), http.StatusOK)
			if diff := cmp.Diff(c.want, got.FCMReport); diff != "" {
				t.Errorf("fcmReport differs (-want +got):\n%s", diff)
			}
		})
	}
}
