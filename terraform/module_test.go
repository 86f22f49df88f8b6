package terraform_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestModule checks what a plan does not show: the kinds of resources, and the versions
// that the module and the examples require.
func TestModule(t *testing.T) {
	t.Parallel()
	module := glob(t, "*.tf")
	for _, kind := range found(`(?m)^resource "([a-z0-9_]+)"`, module) {
		if strings.Contains(kind, "_iam_") && !strings.HasSuffix(kind, "_iam_member") && !strings.HasSuffix(kind, "_iam_custom_role") {
			t.Errorf("%s removes the roles of other members; use _iam_member", kind)
		}
		if kind == "google_eventarc_trigger" || kind == "google_service_account_key" {
			t.Errorf("the module has a %s, which it must not have", kind)
		}
	}
	for _, word := range []string{"event_trigger", "provider \"google\"", "_iam_binding", "_iam_policy"} {
		if strings.Contains(module, word) {
			t.Errorf("the module contains %s, which it must not contain", word)
		}
	}
	versions := glob(t, "versions.tf") + glob(t, "examples/*/main.tf")
	if n := strings.Count(versions, `version = ">= 7.40, < 8.0"`); n != 3 {
		t.Errorf("the same version of google is required %d times, want 3", n)
	}
	if n := strings.Count(versions, `version = "~> 2.7"`); n != 3 {
		t.Errorf("the same version of archive is required %d times, want 3", n)
	}
	if n := strings.Count(versions, `required_version = ">= 1.9.0, < 2.0.0"`); n != 3 {
		t.Errorf("the same version of Terraform is required %d times, want 3", n)
	}
	rules := blockOf(t, "firestore.tf", "google_firebaserules_ruleset", "this")
	if !strings.Contains(rules, "create_before_destroy = true") {
		t.Error("the ruleset has no create_before_destroy: Google does not delete a ruleset that is released")
	}
}

// TestOrder checks that a function is built after the build account has its roles, and that
// a resource is made after its API is enabled.
func TestOrder(t *testing.T) {
	t.Parallel()
	grants := []string{"google_artifact_registry_repository_iam_member.build", "google_project_iam_member.build_logs",
		"google_project_iam_member.build_sources", "google_storage_bucket_iam_member.build"}
	for _, name := range functionNames {
		waits := found(`(?m)^    (google_[a-z_]+\.[a-z_]+),$`, blockOf(t, name+".tf", "google_cloudfunctions2_function", name))
		if !slices.Equal(waits, grants) {
			t.Errorf("%s waits for %v, want %v", name, waits, grants)
		}
	}
	for file, resources := range map[string][][2]string{
		"source.tf":     {{"google_storage_bucket", "source"}, {"google_artifact_registry_repository", "images"}, {"google_service_account", "build"}},
		"pubsub.tf":     {{"google_pubsub_topic", "work"}, {"google_pubsub_topic", "dead"}, {"google_pubsub_topic", "events"}},
		"firestore.tf":  {{"google_firestore_database", "this"}, {"google_firebaserules_ruleset", "this"}},
		"scheduler.tf":  {{"google_cloud_scheduler_job", "tick"}, {"google_cloud_scheduler_job", "token_check"}},
		"iam.tf":        {{"google_service_account", "delivery"}, {"google_service_account", "scheduler"}, {"google_project_iam_custom_role", "sender"}, {"google_project_iam_custom_role", "accounts"}},
		"bigquery.tf":   {{"google_bigquery_dataset", "events"}},
		"metrics.tf":    {{"google_logging_metric", "result"}, {"google_logging_metric", "duration"}, {"google_logging_metric", "token_check_failed"}, {"google_logging_metric", "counter"}, {"google_logging_metric", "roster"}},
		"monitoring.tf": {{"google_monitoring_notification_channel", "email"}, {"google_billing_budget", "this"}},
	} {
		t.Run(file, func(t *testing.T) {
			for _, r := range resources {
				if !strings.Contains(blockOf(t, file, r[0], r[1]), "google_project_service.this") {
					t.Errorf("%s.%s does not wait for its API", r[0], r[1])
				}
			}
		})
	}
}

// TestResourcesWaitForEachOther checks the orders that no reference between two resources
// shows to Terraform.
func TestResourcesWaitForEachOther(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ file, kind, name, waitsFor string }{
		{"bigquery.tf", "google_pubsub_subscription", "bigquery", "google_bigquery_table_iam_member.events"},
		{"bigquery.tf", "google_bigquery_table", "views", "google_bigquery_table.events"},
		{"firestore.tf", "google_firebaserules_release", "this", "google_firestore_database.this"},
		{"iam.tf", "google_service_account_iam_member", "push_token", "google_pubsub_topic.work"},
		{"dashboard.tf", "google_monitoring_dashboard", "this", "google_logging_metric.result"},
		{"dashboard.tf", "google_monitoring_dashboard", "this", "google_logging_metric.counter"},
		{"dashboard.tf", "google_monitoring_dashboard", "this", "google_logging_metric.duration"},
		{"dashboard.tf", "google_monitoring_dashboard", "this", "google_logging_metric.roster"},
	} {
		t.Run(c.kind+"."+c.name+" waits for "+c.waitsFor, func(t *testing.T) {
			_, waits, _ := strings.Cut(blockOf(t, c.file, c.kind, c.name), "depends_on = [")
			waits, _, _ = strings.Cut(waits, "]")
			if !slices.Contains(strings.Fields(strings.ReplaceAll(waits, ",", " ")), c.waitsFor) {
				t.Errorf("depends_on has %q, want %s in it", waits, c.waitsFor)
			}
		})
	}
}

// TestANewServiceGetsItsGrants: if a function is replaced, its service has no grants any
// more. So each grant on a service is replaced with the function.
func TestANewServiceGetsItsGrants(t *testing.T) {
	t.Parallel()
	grant := regexp.MustCompile(`resource "google_cloud_run_v2_service_iam_member" "([a-z_]+)" \{\n([\s\S]*?)\n\}\n`)
	function := regexp.MustCompile(`google_cloudfunctions2_function\.([a-z_]+)`)
	grants := grant.FindAllStringSubmatch(glob(t, "*.tf"), -1)
	if len(grants) != 7 {
		t.Errorf("the module grants services %d times, want 7", len(grants))
	}
	for _, g := range grants {
		t.Run(g[1], func(t *testing.T) {
			body, triggers, _ := strings.Cut(g[2], "replace_triggered_by")
			for _, f := range function.FindAllStringSubmatch(body, -1) {
				if !strings.Contains(triggers, f[0]) {
					t.Errorf("it is replaced with %q, want %s among them", strings.TrimSpace(triggers), f[0])
				}
			}
			for _, lane := range found(`"([a-z-]+)"`, strings.Join(found(`(?m)lanes\s+= toset\(\[([^\]]+)\]\)`, read(t, "project.tf")), "")) {
				if strings.Contains(body, "google_cloudfunctions2_function.deliver") && !strings.Contains(triggers, `deliver["`+lane+`"]`) {
					t.Errorf("it is replaced with %q, want the lane %s among them", strings.TrimSpace(triggers), lane)
				}
			}
		})
	}
}

// blockOf returns the body of a resource.
func blockOf(t *testing.T, file, kind, name string) string {
	t.Helper()
	_, after, ok := strings.Cut(read(t, file), `resource "`+kind+`" "`+name+`" {`)
	body, _, ok2 := strings.Cut(after, "\n}\n")
	if !ok || !ok2 {
		t.Fatalf("%s has no %s.%s", file, kind, name)
	}
	return body
}

// TestProject checks that every resource is in var.project_id, whatever the default project
// of the provider is, except what lets Carillon send to the Firebase projects of apps,
// and read what FCM reports of them.
func TestProject(t *testing.T) {
	t.Parallel()
	elsewhere := []string{"google_storage_bucket_object", "google_storage_bucket_iam_member", "google_service_account_iam_member", "google_billing_budget",
		"google_project_iam_custom_role.firebase_sender", "google_project_iam_member.firebase_sender", "google_project_service.firebase",
		"google_project_iam_custom_role.delivery_data", "google_project_iam_member.delivery_data", "google_project_service.delivery_data"}
	resource := regexp.MustCompile(`(?ms)^resource "([a-z0-9_]+)" "([a-z_]+)" \{\n(.*?)^\}$`)
	all := resource.FindAllStringSubmatch(glob(t, "*.tf"), -1)
	if len(all) < 50 {
		t.Errorf("found only %d resources", len(all))
	}
	for _, r := range all {
		if attribute(r[3], "project") != "var.project_id" && !slices.Contains(elsewhere, r[1]) && !slices.Contains(elsewhere, r[1]+"."+r[2]) {
			t.Errorf("%s.%s has project = %q, want var.project_id", r[1], r[2], attribute(r[3], "project"))
		}
	}
}

// TestAPlanIsKeptWithItsUploads checks that the example of a delivery keeps the uploads of
// the functions with the plan: Terraform writes them only while it plans.
func TestAPlanIsKeptWithItsUploads(t *testing.T) {
	t.Parallel()
	written := found(`output_path\s+= "\$\{path\.root\}(/\.terraform/)\$\{[^"]*\.zip"`, read(t, "source.tf"))
	if !slices.Equal(written, []string{"/.terraform/"}) {
		t.Fatalf("source.tf writes the uploads to %q, want /.terraform/", written)
	}
	example := read(t, "examples/delivery/deliver.yml")
	for _, part := range []string{"${{ env.ROOT }}/.terraform/*.zip\n", "include-hidden-files: true\n"} {
		if !strings.Contains(example, part) {
			t.Errorf("examples/delivery/deliver.yml has no %q: the plan could not be applied in another job", strings.TrimSpace(part))
		}
	}
}
