package fcm

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	fcmdata "google.golang.org/api/fcmdata/v1beta1"

	emulated "carillon.example/emulators/fcm"
	"carillon.example/shared/push"
)

func TestDeliveryEntries(t *testing.T) {
	t.Parallel()
	const app = "projects/shop-prod/androidApps/1:123:android:0abc"
	day := &fcmdata.GoogleTypeDate{Year: 2026, Month: 11, Day: 5}
	for name, c := range map[string]struct {
		entry *fcmdata.GoogleFirebaseFcmDataV1beta1AndroidDeliveryData
		want  *push.DeliveryData // nil: left out
	}{
		"percentages become counts": {
			entry: &fcmdata.GoogleFirebaseFcmDataV1beta1AndroidDeliveryData{Date: day, AnalyticsLabel: "sale", Data: &fcmdata.GoogleFirebaseFcmDataV1beta1Data{
				CountMessagesAccepted: 1000, MessageOutcomePercents: &fcmdata.GoogleFirebaseFcmDataV1beta1MessageOutcomePercents{
					Delivered: 90.55, Pending: 4, DroppedDeviceInactive: 1, DroppedAppForceStopped: 2, DroppedTooManyPendingMessages: 0.5, DroppedTtlExpired: 0.25}}},
			want: &push.DeliveryData{App: app, Day: "2026-11-05", Label: "sale", DeliveryCounts: push.DeliveryCounts{Accepted: 1000, Delivered: 906, Pending: 40, Dropped: 38}},
		},
		"no percentages": {
			entry: &fcmdata.GoogleFirebaseFcmDataV1beta1AndroidDeliveryData{Date: day, Data: &fcmdata.GoogleFirebaseFcmDataV1beta1Data{CountMessagesAccepted: 7}},
			want:  &push.DeliveryData{App: app, Day: "2026-11-05", DeliveryCounts: push.DeliveryCounts{Accepted: 7}},
		},
		"impossible numbers": {
			entry: &fcmdata.GoogleFirebaseFcmDataV1beta1AndroidDeliveryData{Date: day, Data: &fcmdata.GoogleFirebaseFcmDataV1beta1Data{
				CountMessagesAccepted: 10, MessageOutcomePercents: &fcmdata.GoogleFirebaseFcmDataV1beta1MessageOutcomePercents{Delivered: 170, Pending: -3}}},
			want: &push.DeliveryData{App: app, Day: "2026-11-05", DeliveryCounts: push.DeliveryCounts{Accepted: 10, Delivered: 10}},
		},
		"no day":   {entry: &fcmdata.GoogleFirebaseFcmDataV1beta1AndroidDeliveryData{Data: &fcmdata.GoogleFirebaseFcmDataV1beta1Data{}}},
		"no data":  {entry: &fcmdata.GoogleFirebaseFcmDataV1beta1AndroidDeliveryData{Date: day}},
		"no entry": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := readEntry(app, c.entry)
			if ok != (c.want != nil) {
				t.Fatalf("the entry is read: %v, want %v", ok, c.want != nil)
			}
			if c.want == nil {
				return
			}
			if diff := cmp.Diff(*c.want, got); diff != "" {
				t.Errorf("the entry differs (-want +got):\n%s", diff)
			}
		})
	}
}

// Days before the first one are left out, and no credentials go to an endpoint that is not
// Google's: there are none here, so the client could not be made.
func TestDeliveryDataFromTheFirstDay(t *testing.T) {
	t.Parallel()
	server := startFCM(t, emulated.Options{})
	for _, label := range []string{"sale", "news"} {
		t.Run(label, func(t *testing.T) {

			body := `{"message":{"token":"phone-1:abcdefgh","fcm_options":{"analytics_label":"` + label + `"}}}`
			r, err := http.Post(server.URL()+"/v1/projects/demo-shop/messages:send", "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
		})
	}
	const app = "projects/demo-shop/androidApps/1:123:android:0abc"
	client, err := NewDeliveryDataClient(t.Context(), server.URL(), push.AndroidApps{app})
	if err != nil {
		t.Fatal(err)
	}
	client.pageSize = 1
	for first, want := range map[string]int{"2000-01-01": 2, "2999-01-01": 0} {
		t.Run(first, func(t *testing.T) {

			got, err := client.DeliveryData(t.Context(), first)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != want {
				t.Errorf("from %s on there are %d entries, want %d", first, len(got), want)
			}
		})
	}
}
