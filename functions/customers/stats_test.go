package customers

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/push"
)

func TestStatsAreAnsweredByDay(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	for _, day := range []string{"2026-08-03", "2026-08-05", "2026-10-31", "2026-11-01"} {
		if err := w.RecordDayStats(t.Context(), day); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string][]string{
		"":                               {"2026-08-05", "2026-10-31", "2026-11-01"}, // 90 days before the clock's noon of 1 November
		"?from=2026-08-01&to=2026-08-31": {"2026-08-03", "2026-08-05"},
		"?from=2026-10-31&to=2026-10-31": {"2026-10-31"},
		"?from=2027-01-01&to=2027-01-02": {},
		"?from=2026-11-01&to=2026-10-01": {},
		"?from=2024-11-01":               {"2026-08-03", "2026-08-05", "2026-10-31", "2026-11-01"},
	} {
		t.Run(query, func(t *testing.T) {
			answer := testcloud.Decode[struct{ Days []push.DayStats }](w.Ask("GET", "/v1/stats"+query, ""), http.StatusOK)
			got := []string{}
			for _, d := range answer.Days {
				got = append(got, d.Day)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("/v1/stats%s (-want +got):\n%s", query, diff)
			}
		})
	}
	for query, places := range map[string][]string{
		"?from=yesterday&to=2026-13-01": {"query.to", "query.from"},
		"?from=2020-01-01":              {"query.from"},
	} {
		got := w.Ask("GET", "/v1/stats"+query, "")
		if got.Code != http.StatusUnprocessableEntity {
			t.Errorf("/v1/stats%s: %s, want 422", query, got)
		}
		if diff := cmp.Diff(places, got.Places()); diff != "" {
			t.Errorf("/v1/stats%s: the faults (-want +got):\n%s", query, diff)
		}
	}
}
