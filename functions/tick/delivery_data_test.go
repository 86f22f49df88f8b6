package tick

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

const androidApp = "projects/shop-prod/androidApps/1:123:android:0abc"

// A countedSource counts how often it is asked.
type countedSource struct {
	deliverySource
	asked int
}

func (c *countedSource) DeliveryData(ctx context.Context, first string) ([]push.DeliveryData, error) {
	c.asked++
	return c.deliverySource.DeliveryData(ctx, first)
}

// deliverySetup is tick with the delivery data of an FCM of its own.
func deliverySetup(t *testing.T) (*harness, *phones.Server, *countedSource) {
	t.Helper()
	w, p := newHarness(t), testcloud.Phones(t, phones.Options{})
	client, err := fcm.NewDeliveryDataClient(t.Context(), p.URL(), push.AndroidApps{androidApp})
	if err != nil {
		t.Fatal(err)
	}
	source := &countedSource{deliverySource: client}
	w.t.Delivery, w.t.DeliveryEvery = source, 24*time.Hour
	return w, p, source
}

// sendLabelled sends a message with a label to FCM.
func sendLabelled(t *testing.T, p *phones.Server, label string) {
	t.Helper()
	body := `{"message":{"token":"phone-1:abcdefgh","fcm_options":{"analytics_label":"` + label + `"}}}`
	r, err := http.Post(p.URL()+"/v1/projects/shop-prod/messages:send", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusOK {
		t.Fatalf("FCM answers %d, want 200", r.StatusCode)
	}
}

// checkDelivered fails the test unless FCM is known to have accepted and delivered n messages
// with a label.
func (w *harness) checkDelivered(t *testing.T, label string, n int64) {
	t.Helper()
	report, err := w.ReadDeliveryReport(t.Context(), label)
	if err != nil {
		t.Fatalf("reading the report of %q: %v", label, err)
	}
	if report == nil {
		t.Fatalf("there is no report of %q, want %d messages", label, n)
	}
	want := push.DeliveryCounts{Accepted: n, Delivered: n}
	if diff := cmp.Diff(want, report.DeliveryCounts); diff != "" {
		t.Errorf("the report of %q differs (-want +got):\n%s", label, diff)
	}
}

// tick fetches once a day, also after an instance was replaced, and a later fetch has what
// came late.
func TestTickFetchesDeliveryDataOnceADay(t *testing.T) {
	t.Parallel()
	w, p, source := deliverySetup(t)
	sendLabelled(t, p, "sale")
	w.tick(t)
	w.clock.Add(time.Minute)
	w.tick(t)
	other := newTicker(w.t.Deps)
	if err := other.fetchDeliveryData(t.Context()); err != nil {
		t.Fatal(err)
	}
	if source.asked != 1 {
		t.Errorf("FCM was asked %d times in a day, want once", source.asked)
	}
	w.checkDelivered(t, "sale", 1)

	sendLabelled(t, p, "sale")
	w.clock.Add(24 * time.Hour)
	w.tick(t)
	w.checkDelivered(t, "sale", 2)
}

// A project that has not enabled the API does not make the round fail, and is asked again
// an hour later, not each minute.
func TestTickTriesDeliveryDataAgain(t *testing.T) {
	t.Parallel()
	w, p, source := deliverySetup(t)
	if err := p.Configure(phones.Settings{DataAPIDisabled: true}); err != nil {
		t.Fatal(err)
	}
	sendLabelled(t, p, "sale")
	for range 3 {
		w.tick(t) // fails the test if the round has an error
		w.clock.Add(time.Minute)
	}
	if source.asked != 1 {
		t.Errorf("FCM was asked %d times within three minutes, want once", source.asked)
	}

	if err := p.Configure(phones.Settings{}); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(retryDelivery)
	w.tick(t)
	w.checkDelivered(t, "sale", 1)
}

// A crash after the labels are stored and before the time is stored only repeats the fetch.
func TestTickRepeatsADeliveryFetchThatCrashed(t *testing.T) {
	t.Parallel()
	w, p, source := deliverySetup(t)
	sendLabelled(t, p, "sale")
	data, err := source.DeliveryData(t.Context(), w.clock.Now().UTC().Format(push.DayLayout))
	if err != nil {
		t.Fatalf("FCM does not report: %v", err)
	}
	if err := w.SaveDeliveryData(t.Context(), time.Time{}, data); err != nil {
		t.Fatalf("storing the labels without the time: %v", err)
	}

	w.tick(t)
	if source.asked != 2 {
		t.Errorf("FCM was asked %d times, want again after the crash", source.asked)
	}
	w.checkDelivered(t, "sale", 1)
}

// With a shorter interval, as on a laptop, tick fetches at the next round.
func TestTickFetchesDeliveryDataInItsInterval(t *testing.T) {
	t.Parallel()
	w, p, source := deliverySetup(t)
	w.t.DeliveryEvery = 5 * time.Second
	w.tick(t)
	sendLabelled(t, p, "sale")
	w.clock.Add(5 * time.Second)
	w.tick(t)
	if source.asked != 2 {
		t.Errorf("FCM was asked %d times in two rounds, want each time", source.asked)
	}
	w.checkDelivered(t, "sale", 1)
}
