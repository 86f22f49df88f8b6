package mailings_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
)

// TestDocument holds the OpenAPI document to the one that was looked at last.
func TestDocument(t *testing.T) {
	t.Parallel()
	testcloud.Golden(t, "testdata/openapi.json", newHarness(t).Ask("GET", "/openapi.json", "").Body)
}

type schema struct {
	Ref        string            `json:"$ref"`
	Properties map[string]schema `json:"properties"`
}

type newOperation struct {
	Parameters []struct {
		Name string `json:"name"`
		In   string `json:"in"`
	} `json:"parameters"`
	RequestBody *struct {
		Content map[string]struct {
			Schema schema `json:"schema"`
		} `json:"content"`
	} `json:"requestBody"`
	Responses map[string]struct {
		Content map[string]struct {
			Schema schema `json:"schema"`
		} `json:"content"`
	} `json:"responses"`
}

type document struct {
	OpenAPI    string                             `json:"openapi"`
	Paths      map[string]map[string]newOperation `json:"paths"`
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

func (d *document) fields(s schema) []string {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		s = d.Components.Schemas[name]
	}
	return slices.Sorted(maps.Keys(s.Properties))
}

// TestDocumentIsTheContract holds it to the names that clients rely on.
func TestDocumentIsTheContract(t *testing.T) {
	t.Parallel()
	d := testcloud.Decode[document](newHarness(t).Ask("GET", "/openapi.json", ""), 200)
	if !strings.HasPrefix(d.OpenAPI, "3.1.") {
		t.Errorf("it is OpenAPI %s", d.OpenAPI)
	}
	const messageDraft = "category customer devices fid lifetime link message only token values"
	const message = "completedAt createdAt createdBy customer excluded expiresAt id reason refusal reported state title tokens"
	const draft = "audience category controlGroup devices dryRun immediately lifetime link maxCustomers message name only ratePerMinute sendAt tags variants window"
	seen := map[string]bool{}
	for _, c := range []struct{ path, method, body, status, answer, params string }{
		{"/v1/mailings", "post", draft, "202", "id state", "Idempotency-Key"},
		{"/v1/mailings/preview", "post", strings.Replace(draft, "devices", "customer devices", 1), "200", "customers excluded expired lastOpens missing payloads proven sampled seconds targeted tokens usd", ""},
		{"/v1/mailings", "get", "", "200", "mailings nextPageToken", "pageSize pageToken state tag"},
		{"/v1/mailings/{id}", "get", "", "200", "apps audience audienceList category completedAt controlGroup createdAt createdBy customers devices dryRun expiresAt fcmReport held hours id immediately lifetime link maxCustomers message missingAttribute name only pausedBecause pausedDetail pausedPlatforms pausedReason platforms ratePerMinute refusal reported secondsLeft sendAt startedAt state tags tokens unflag variants window", "audience id"},
		{"/v1/mailings/{id}/cancel", "post", "", "200", "id state", "id"},
		{"/v1/mailings/{id}/pause", "post", "", "200", "id state", "id"},
		{"/v1/mailings/{id}/resume", "post", "", "200", "id state", "id"},
		{"/v1/mailings/{id}/flag-held", "post", "", "200", "id state", "id"},
		{"/v1/mailings/{id}/drop-held", "post", "", "200", "id state", "id"},
		{"/v1/mailings/{id}/recipients", "get", "", "200", "", "Accept-Encoding after id"},
		{"/v1/mailings/{id}/invalid-tokens", "get", "", "200", "nextPageToken tokens", "id pageSize pageToken"},
		{"/v1/mailings/{id}/timeline", "get", "", "200", "pauses points stepSeconds", "id"},
		{"/v1/mailings/{id}/unflag", "post", "", "202", "id unflag", "id"},
		{"/v1/messages", "post", messageDraft, "202", message, "Idempotency-Key wait"},
		{"/v1/messages", "post", messageDraft, "200", message, "Idempotency-Key wait"},
		{"/v1/messages:batch", "post", "messages", "200", "messages", "Idempotency-Key"},
		{"/v1/messages/{id}", "get", "", "200", message, "id"},
	} {
		t.Run(c.method, func(t *testing.T) {
			op, ok := d.Paths[c.path][c.method]
			if !ok {
				t.Errorf("%s %s is not there", c.method, c.path)
				return
			}
			seen[c.method+" "+c.path] = true
			var params []string
			for _, p := range op.Parameters {
				params = append(params, p.Name)
			}
			slices.Sort(params)
			body := ""
			if op.RequestBody != nil {
				body = strings.Join(d.fields(op.RequestBody.Content["application/json"].Schema), " ")
			}
			answer := strings.Join(d.fields(op.Responses[c.status].Content["application/json"].Schema), " ")
			check.Equal(t, body, c.body, "%s %s: body", c.method, c.path)
			check.Equal(t, answer, c.answer, "%s %s: answer", c.method, c.path)
			check.Equal(t, strings.Join(params, " "), c.params, "%s %s: params", c.method, c.path)
			for status, r := range op.Responses {
				if _, ok := r.Content["application/problem+json"]; status >= "4" && !ok {
					t.Errorf("%s %s: %s is not answered as a problem", c.method, c.path, status)
				}
			}
		})
	}
	for path, more := range d.Paths {
		for method := range more {
			if seen[method+" "+path] {
				continue
			}
			t.Errorf("%s %s is more than the contract", method, path)
		}
	}
}
