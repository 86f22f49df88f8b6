package fcm

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/fcmdata/v1beta1"
	"google.golang.org/api/option"
)

// deliveryCounts reads the delivery data of an app with Google's client, two entries a
// page, and returns the accepted messages by label.
func deliveryCounts(t *testing.T, s *Server, app string) (map[string]int64, error) {
	t.Helper()
	service, err := fcmdata.NewService(within(t), option.WithEndpoint(s.URL()+"/"), option.WithHTTPClient(http.DefaultClient))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int64{}
	call := service.Projects.AndroidApps.DeliveryData.List("projects/" + project + "/androidApps/" + app).PageSize(2)
	err = call.Pages(within(t), func(page *fcmdata.GoogleFirebaseFcmDataV1beta1ListAndroidDeliveryDataResponse) error {
		if len(page.AndroidDeliveryData) > 2 {
			t.Errorf("a page has %d entries, want at most 2", len(page.AndroidDeliveryData))
		}
		for _, e := range page.AndroidDeliveryData {
			if e.AppId != app {
				t.Errorf("an entry is of app %q, want %q", e.AppId, app)
			}
			if e.Data.MessageOutcomePercents.Delivered != 100 {
				t.Errorf("%v %% of label %q were delivered, want 100", e.Data.MessageOutcomePercents.Delivered, e.AnalyticsLabel)
			}
			day := fmt.Sprintf("%04d-%02d-%02d", e.Date.Year, e.Date.Month, e.Date.Day)
			if age := time.Since(parseDay(t, day)); age < 0 || age > 48*time.Hour {
				t.Errorf("an entry is of %s, want today or yesterday", day)
			}
			counts[e.AnalyticsLabel] += e.Data.CountMessagesAccepted
		}
		return nil
	})
	return counts, err
}

func parseDay(t *testing.T, day string) time.Time {
	t.Helper()
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestDeliveryDataCountsByLabel(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	for _, message := range []string{
		`{"token":"%s","fcm_options":{"analytics_label":"sale"}}`,
		`{"token":"%s","fcmOptions":{"analyticsLabel":"sale"}}`,
		`{"token":"%s","fcm_options":{"analytics_label":"sale"},"android":{"fcm_options":{"analytics_label":"android-sale"}}}`,
		`{"token":"%s","data":{"a":"b"}}`,
		`{"topic":"%.5s","fcm_options":{"analytics_label":"topic"}}`,
	} {
		body := `{"message":` + fmt.Sprintf(message, token) + `}`
		r, err := http.Post(s.URL()+"/v1/projects/"+project+"/messages:send", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusOK {
			t.Fatalf("%s: status %d, want 200", body, r.StatusCode)
		}
	}

	got, err := deliveryCounts(t, s, "1:2:android:3")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int64{"": 1, "android-sale": 1, "sale": 2}, got); diff != "" {
		t.Errorf("messages by label differ (-want +got):\n%s", diff)
	}
}

func TestDeliveryDataOfAProjectWithoutTheAPI(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	if err := s.Configure(Settings{DataAPIDisabled: true}); err != nil {
		t.Fatal(err)
	}
	_, err := deliveryCounts(t, s, "1:2:android:3")
	switch {
	case err == nil:
		t.Error("there is no error, want one with status 403")
	case !strings.Contains(err.Error(), "403"):
		t.Errorf("the error is %q, want status 403 in it", err)
	}
}
