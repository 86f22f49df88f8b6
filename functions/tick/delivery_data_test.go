package tick

import (
	"context"
	"errors"
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
func deliverySetup(t *testing.T) (*world, *phones.Server, *countedSource) {
	t.Helper()
	w, p := newWorld(t), testcloud.Phones(t, phones.Options{})
	client, err := fcm.NewDeliveryDataClient(t.Context(), p.URL(), push.AndroidApps{androidApp})
	if err != nil {
		t.Fatal(err)
	}
	source := &countedSource{deliverySource: client}
	w.t.Delivery = source
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

func (w *world) deliveryReport(t *testing.T, label string) push.DeliveryCounts {
	t.Helper()
	report, err := w.ReadDeliveryReport(t.Context(), label)
	if err != nil {
		t.Fatal(err)
	}
	if report == nil {
		return push.DeliveryCounts{}
	}
	return report.DeliveryCounts
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
	if diff := cmp.Diff(push.DeliveryCounts{Accepted: 1, Delivered: 1}, w.deliveryReport(t, "sale")); diff != "" {
		t.Errorf("the report differs (-want +got):\n%s", diff)
	}

	sendLabelled(t, p, "sale")
	w.clock.Add(24 * time.Hour)
	w.tick(t)
	if diff := cmp.Diff(push.DeliveryCounts{Accepted: 2, Delivered: 2}, w.deliveryReport(t, "sale")); diff != "" {
		t.Errorf("the report of the next day differs (-want +got):\n%s", diff)
	}
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
	if diff := cmp.Diff(push.DeliveryCounts{Accepted: 1, Delivered: 1}, w.deliveryReport(t, "sale")); diff != "" {
		t.Errorf("the report differs (-want +got):\n%s", diff)
	}
}

// A crash after the labels are stored and before the day is marked only repeats the fetch.
func TestTickRepeatsADeliveryFetchThatCrashed(t *testing.T) {
	t.Parallel()
	w, p, _ := deliverySetup(t)
	sendLabelled(t, p, "sale")
	crashing := newTicker(w.t.Deps)
	crashing.Store = crashesBeforeMark{w.Store}
	if err := crashing.fetchDeliveryData(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.tick(t)
	if diff := cmp.Diff(push.DeliveryCounts{Accepted: 1, Delivered: 1}, w.deliveryReport(t, "sale")); diff != "" {
		t.Errorf("the report differs (-want +got):\n%s", diff)
	}
}

// crashesBeforeMark stores delivery data under the mark of an earlier day.
type crashesBeforeMark struct{ dataStore }

func (c crashesBeforeMark) SaveDeliveryData(ctx context.Context, _ string, data []push.DeliveryData) error {
	return errors.Join(c.dataStore.SaveDeliveryData(ctx, "2000-01-01", data), context.Canceled)
}
