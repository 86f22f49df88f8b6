package terraform_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	envTag    = `env:"([A-Z0-9_]+)`
	envLookup = `os\.(?:Getenv|LookupEnv)\("([A-Z0-9_]+)"\)`
	envSet    = `(?m)^\s+([A-Z][A-Z0-9_]+)\s+= `
)

// TestEnvironment checks that a function reads every variable that Terraform sets for it,
// and that Terraform sets every variable that it reads. A variable that only one of them
// has is a setting without effect, or one that cannot be set.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	common := found(envTag, glob(t, "../shared/cloud/*.go"))
	if len(common) == 0 {
		t.Fatal("shared/cloud reads no environment variable")
	}
	everywhere := found(envSet, read(t, "project.tf"))
	for _, name := range inCode(t) {
		code := glob(t, "../functions/"+name+"/*.go")
		reads := slices.Concat(found(envTag, code), found(envLookup, code))
		if strings.Contains(code, "cloud.Common") {
			reads = append(reads, common...)
		}
		sets := slices.Concat(everywhere, found(envSet, read(t, name+".tf")))
		if unset := without(reads, sets); len(unset) > 0 {
			t.Errorf("%s reads %v, which %s.tf does not set", name, unset, name)
		}
		if unread := without(sets, reads); len(unread) > 0 {
			t.Errorf("%s.tf sets %v, which %s does not read", name, unread, name)
		}
	}
}

// TestDefaults checks that a variable of Terraform has the same default as in the code.
func TestDefaults(t *testing.T) {
	t.Parallel()
	tag := regexp.MustCompile(`env:"([A-Z0-9_]+)" envDefault:"([^"]*)"`)
	variables := variablesOf(t)
	for _, name := range inCode(t) {
		set := read(t, name+".tf")
		for _, m := range tag.FindAllStringSubmatch(glob(t, "../functions/"+name+"/*.go"), -1) {
			from := found(`(?m)^\s+`+m[1]+`\s+= var\.([a-z_]+)$`, set)
			if len(from) != 1 {
				continue // a topic, or a setting of the function's size
			}
			got := strings.Trim(variables[from[0]].Default, `"`)
			if got != m[2] {
				t.Errorf("%s: %s is %s by default in the code, var.%s is %s", name, m[1], m[2], from[0], got)
			}
		}
	}
}

func TestEntryPoints(t *testing.T) {
	t.Parallel()
	for _, name := range inCode(t) {
		registered := found(`functions\.HTTP\("([^"]+)"`, glob(t, "../functions/"+name+"/*.go"))
		deployed := found(`entry_point\s+= "([^"]+)"`, read(t, name+".tf"))
		if len(deployed) != 1 {
			t.Errorf("%s.tf has the entry points %v, want one", name, deployed)
		}
		if !slices.Equal(registered, deployed) {
			t.Errorf("%s: the code registers %v, Terraform's entry point is %v", name, registered, deployed)
		}
	}
}

// TestPublishers checks that a function may publish to the topics that its code publishes
// to, and only to these.
func TestPublishers(t *testing.T) {
	t.Parallel()
	topics := map[string][]string{"PublishDispatch": {"dispatch"}, "PublishBatches": {"deliver", "deliver-small"}, "PublishMessages": {"messages"}, "PublishWake": {"tick"},
		"PublishEvents": {"push-events"}, "PublishEventsNow": {"push-events"}}
	iam := read(t, "iam.tf")
	for _, name := range inCode(t) {
		var uses []string
		for _, method := range found(`\b[Qq]ueue\.(PublishDispatch|PublishBatches|PublishMessages|PublishWake|PublishEvents|PublishEventsNow)\b`, glob(t, "../functions/"+name+"/*.go")) {
			uses = append(uses, topics[method]...)
		}
		slices.Sort(uses)
		uses = slices.Compact(uses)
		granted := found(`"([a-z-]+)"`, strings.Join(found(`(?m)\b`+name+`\s+= \[("[^\]]*)\]`, iam), ","))
		if !slices.Equal(uses, granted) {
			t.Errorf("%s publishes to %v, but may publish to %v", name, uses, granted)
		}
	}
}

// TestLines checks that the functions log the lines and attributes that the metrics read.
func TestLines(t *testing.T) {
	t.Parallel()
	metrics := read(t, "metrics.tf")
	code := glob(t, "../shared/api/*.go")
	for _, name := range inCode(t) {
		code += glob(t, "../functions/"+name+"/*.go")
	}
	lines := slices.Concat(found(`message = "([^"]+)" }`, metrics), found(`jsonPayload\.message=\\"([^$"\\]+)\\"`, metrics))
	if len(lines) != 13 {
		t.Errorf("metrics read the %d lines %q, want 13", len(lines), lines)
	}
	for _, l := range lines {
		if !strings.Contains(code, `"`+l+`"`) {
			t.Errorf("no function logs the line %q", l)
		}
	}
	fields := slices.Concat(found(`jsonPayload\.([a-z_]+)`, metrics), found(`field\s+= "([a-z_]+)"`, metrics), found(`"([a-z]+)"`, strings.Join(found(`results = toset\(\[([^\]]+)\]`, metrics), "")))
	for _, f := range without(fields, []string{"message"}) {
		if !regexp.MustCompile(`Context\([^)]*"` + f + `"|"` + f + `", `).MatchString(code) {
			t.Errorf("no function logs the attribute %q", f)
		}
	}
}
