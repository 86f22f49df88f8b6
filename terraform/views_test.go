package terraform_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon.example/shared/push"
)

// TestViewsReadFieldsOfEvents checks that every field that a view reads is one of the
// events that it selects.
func TestViewsReadFieldsOfEvents(t *testing.T) {
	t.Parallel()
	events := sampleEvents(t)
	for view, types := range map[string][]string{
		"mailings":               {push.MailingStarted, push.MailingCompleted},
		"reachability_by_day":    {push.AvailabilityChanged},
		"invalid_tokens_by_week": {push.TokenInvalidated},
		"opens":                  {push.MessageOpened},
	} {
		t.Run(view, func(t *testing.T) {
			t.Parallel()
			query := read(t, "views", view+".sql")
			if got, want := found(`'([a-z]+\.[a-z.]+)'`, query), slices.Sorted(slices.Values(types)); !slices.Equal(got, want) {
				t.Fatalf("it selects the events %v, want %v", got, want)
			}
			for _, path := range found(`'\$\.([A-Za-z_.]+)'`, query) {
				if !slices.ContainsFunc(types, func(kind string) bool { return hasField(events[kind], path) }) {
					t.Errorf("it reads %s, which no event of %v has", path, types)
				}
			}
		})
	}
}

// TestEveryViewIsDeployed checks that the module has a view for each query, and the other
// way round.
func TestEveryViewIsDeployed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("views/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	var queries []string
	for _, f := range files {
		queries = append(queries, strings.TrimSuffix(filepath.Base(f), ".sql"))
	}
	_, list, _ := strings.Cut(read(t, "bigquery.tf"), "bigquery_views = {")
	list, _, _ = strings.Cut(list, "}")
	if got := found(`(?m)^ +([a-z_]+) += "`, list); !slices.Equal(got, queries) {
		t.Errorf("bigquery.tf has the views %v, and views/ has %v", got, queries)
	}
}

// sampleEvents returns an event of each type that the views read, as JSON, with every
// field.
func sampleEvents(t *testing.T) map[string]map[string]any {
	t.Helper()
	at := time.Date(2026, 11, 24, 9, 30, 0, 0, time.UTC)
	totals := push.NewTotals(push.AudienceCounts{Targeted: 1}, 1, push.Tally{}, nil)
	totals.Platforms = map[string]push.TokenTotals{"android": {}}
	totals.Apps = map[string]push.TokenTotals{"shop": {}}
	totals.Variants = map[string]push.VariantTotals{"a": {}}
	m := &push.Mailing{ID: "m", Draft: push.Draft{Name: "n", Tags: []string{"t"}, DryRun: true}, CreatedBy: "crm@shop.example", Title: "t",
		State: push.Completed, CreatedAt: at, StartedAt: at, CompletedAt: at, ExpiresAt: at, Totals: &totals}
	invalid := push.Token{ID: "t", Platform: push.Android, App: "shop", Invalid: &push.TokenFlag{Code: push.CodeUnregistered, Status: "NOT_FOUND", At: at, Mailing: "m"}}
	c := &push.Customer{ID: "c", Tokens: []push.Token{invalid}}

	out := map[string]map[string]any{}
	for _, e := range []push.Event{push.StartedEvent(m), push.CompletedEvent(m), push.AvailabilityEvent(c, at), push.InvalidatedEvent(c, invalid), push.OpenedEvent("m", push.OpenedData{Mailing: "m", Customer: "c", At: at})} {
		raw, err := json.Marshal(map[string]any{"id": e.ID, "type": e.Type, "time": e.Time, "data": e.Data})
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(raw, &fields); err != nil {
			t.Fatal(err)
		}
		out[e.Type] = fields
	}
	return out
}

// hasField reports whether an event has the field at a path like data.tokens.accepted.
func hasField(event map[string]any, path string) bool {
	var at any = event
	for name := range strings.SplitSeq(path, ".") {
		fields, ok := at.(map[string]any)
		if !ok {
			return false
		}
		if at, ok = fields[name]; !ok {
			return false
		}
	}
	return true
}
