package fcm

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The limits of a page of the Data API.
const (
	defaultDataPage = 1_000
	maxDataPage     = 10_000
)

// deliveryDataPath returns the project and the app of a path
// /v1beta1/projects/{project}/androidApps/{app}/deliveryData.
func deliveryDataPath(path string) (project, app string, ok bool) {
	parts := strings.Split(path, "/")
	if len(parts) != 7 || parts[1] != "v1beta1" || parts[2] != "projects" || parts[4] != "androidApps" || parts[6] != "deliveryData" {
		return "", "", false
	}
	return parts[3], parts[5], parts[3] != "" && parts[5] != ""
}

// deliveryKey is what the Data API groups messages by, for one app.
type deliveryKey struct{ day, label string }

// deliveryEntry is an entry of the Data API. Its count is a string, as int64 is in JSON.
type deliveryEntry struct {
	AppID string `json:"appId"`
	Date  struct {
		Year  int `json:"year"`
		Month int `json:"month"`
		Day   int `json:"day"`
	} `json:"date"`
	AnalyticsLabel string `json:"analyticsLabel,omitempty"`
	Data           struct {
		CountMessagesAccepted  string `json:"countMessagesAccepted"`
		MessageOutcomePercents struct {
			Delivered float64 `json:"delivered"`
		} `json:"messageOutcomePercents"`
	} `json:"data"`
}

// handleDeliveryData answers a request of the FCM Data API (v1beta1) from the messages to
// tokens and installations that are stored. The emulator does not know which app a token
// is of, so each app of a project has all its messages. They were all delivered, and a day
// is reported at once.
func (s *Server) handleDeliveryData(w http.ResponseWriter, r *http.Request, project, app string) {
	p := s.policy.Load()
	if p.RequireAuth && !hasBearer(r) {
		answers["UNAUTHENTICATED"].writeTo(w, 0)
		return
	}
	if p.DataAPIDisabled {
		writeJSON(w, http.StatusForbidden, map[string]any{"error": map[string]any{"code": http.StatusForbidden, "status": "PERMISSION_DENIED",
			"message": "Firebase Cloud Messaging Data API has not been used in project " + project + " before or it is disabled."}})
		return
	}

	entries := s.deliveryEntries(project, app)
	size, _ := strconv.Atoi(r.URL.Query().Get("pageSize")) // a page size that is no number is the default
	if size <= 0 {
		size = defaultDataPage
	}
	begin, err := strconv.Atoi(cmp.Or(r.URL.Query().Get("pageToken"), "0"))
	if err != nil || begin < 0 || begin > len(entries) {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": map[string]any{"code": http.StatusBadRequest, "status": badArgument, "message": "Invalid page token."}})
		return
	}

	end := min(begin+min(size, maxDataPage), len(entries))
	page := map[string]any{"androidDeliveryData": entries[begin:end]}
	if end < len(entries) {
		page["nextPageToken"] = strconv.Itoa(end)
	}
	writeJSON(w, http.StatusOK, page)
}

// deliveryEntries counts the stored messages of a project by day of UTC and label.
func (s *Server) deliveryEntries(project, app string) []deliveryEntry {
	counts := map[deliveryKey]int{}
	for _, m := range s.memory.find(Filter{}) {
		if m.project == project && (m.target == "token" || m.target == "fid") {
			counts[deliveryKey{m.at.UTC().Format(time.DateOnly), labelOf(m.raw)}]++
		}
	}

	entries := make([]deliveryEntry, 0, len(counts))
	for key, n := range counts {
		day, _ := time.Parse(time.DateOnly, key.day) // it was formatted above
		e := deliveryEntry{AppID: app, AnalyticsLabel: key.label}
		e.Date.Year, e.Date.Month, e.Date.Day = day.Year(), int(day.Month()), day.Day()
		e.Data.CountMessagesAccepted = strconv.Itoa(n)
		e.Data.MessageOutcomePercents.Delivered = 100
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b deliveryEntry) int {
		return cmp.Or(cmp.Compare(a.Date.Year, b.Date.Year), cmp.Compare(a.Date.Month, b.Date.Month), cmp.Compare(a.Date.Day, b.Date.Day),
			cmp.Compare(a.AnalyticsLabel, b.AnalyticsLabel))
	})
	return entries
}

// labelOf returns the analytics label of a message for Android: that of its Android part,
// or else of the whole.
func labelOf(raw string) string {
	type options struct {
		Snake string `json:"analytics_label"`
		Camel string `json:"analyticsLabel"`
	}
	type labelled struct {
		Snake options `json:"fcm_options"`
		Camel options `json:"fcmOptions"`
	}
	var m struct {
		labelled
		Android labelled `json:"android"`
	}
	if err := json.Unmarshal([]byte(raw), &m); err != nil {
		return ""
	}
	return cmp.Or(m.Android.Snake.Snake, m.Android.Snake.Camel, m.Android.Camel.Snake, m.Android.Camel.Camel,
		m.labelled.Snake.Snake, m.labelled.Snake.Camel, m.labelled.Camel.Snake, m.labelled.Camel.Camel)
}
