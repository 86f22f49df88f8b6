package terraform_test

import (
	"regexp"
	"testing"
)

// googleMetrics are the metrics of Google that the dashboard uses, each with the resource
// type that its query has to name. The source is Google's list of metrics, and for the
// resource type its page on PromQL: a query of a metric with several resource types must
// name one.
var googleMetrics = map[string]string{
	"serviceruntime_googleapis_com:quota_rate_net_usage":            "consumer_quota",
	"pubsub_googleapis_com:subscription_oldest_unacked_message_age": "pubsub_subscription",
	"pubsub_googleapis_com:subscription_num_undelivered_messages":   "pubsub_subscription",
	"pubsub_googleapis_com:topic_byte_cost":                         "pubsub_topic",
	"run_googleapis_com:request_count":                              "cloud_run_revision",
	"run_googleapis_com:container_instance_count":                   "cloud_run_revision",
	"run_googleapis_com:container_billable_instance_time":           "cloud_run_revision",
	"firestore_googleapis_com:document_read_ops_count":              "firestore.googleapis.com/Database",
	"firestore_googleapis_com:document_write_ops_count":             "firestore.googleapis.com/Database",
	"firestore_googleapis_com:document_delete_ops_count":            "firestore.googleapis.com/Database",
	"logging_googleapis_com:byte_count":                             "cloud_run_revision",
}

// selectorLocals are the locals of dashboard.tf that hold a selector.
var selectorLocals = regexp.MustCompile(`(?m)^\s+(on|run|sub|dlq|database)\s+=\s+"\{monitored_resource=\\"([^\\]+)\\"`)

// TestDashboardUsesMetricsThatExist checks that each metric of Google in the dashboard is
// in the table, with its resource type.
func TestDashboardUsesMetricsThatExist(t *testing.T) {
	t.Parallel()
	text := read(t, "dashboard.tf")
	types := map[string]string{}
	for _, found := range selectorLocals.FindAllStringSubmatch(text, -1) {
		types[found[1]] = found[2]
	}

	query := regexp.MustCompile(`([a-z]+_googleapis_com:[a-z_]+)(?:\$\{(?:replace\()?local\.([a-z]+)|\{monitored_resource=\\"([^\\]+)\\")?`)
	used := map[string]bool{}
	for _, found := range query.FindAllStringSubmatch(text, -1) {
		name, resource := found[1], found[3]
		if name == "logging_googleapis_com:user_" {
			continue // our own metrics; a test in tests/ checks their names
		}
		if resource == "" {
			resource = types[found[2]]
		}
		used[name] = true
		if want := googleMetrics[name]; resource != want {
			t.Errorf("the query of %s names the resource type %q, want %q", name, resource, want)
		}
	}
	for name := range googleMetrics {
		if !used[name] {
			t.Errorf("the dashboard does not use %s", name)
		}
	}
}

// TestGoLineHasNoPatch checks that go.mod asks for the first patch of its version. Google's
// builder may not have a later one yet, and a build without access to the module proxy
// cannot fetch it.
func TestGoLineHasNoPatch(t *testing.T) {
	t.Parallel()
	if !regexp.MustCompile(`(?m)^go 1\.\d+\.0$`).MatchString(read(t, "../go.mod")) {
		t.Error("the line go of go.mod must end with .0; the line toolchain may name a patch")
	}
}
