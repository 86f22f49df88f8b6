package firestore_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"carillon.example/emulators/firestore"
	"carillon.example/emulators/testcloud/check"
)

// A restClient calls a server in the REST form of the service.
type restClient struct {
	t    testing.TB
	base string // the URL of documents of a project that no other test uses
}

func newRESTClient(t testing.TB) *restClient {
	return &restClient{t, fmt.Sprintf("http://%s/v1/projects/demo-rest-%d-%d/databases/(default)/documents", address(t), os.Getpid(), projects.Add(1))}
}

// call sends a request and returns the status and the decoded body of the answer.
func (c *restClient) call(method, path, body string) (code int, answer any) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer owner") // as Google's emulator wants it
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		c.t.Fatalf("%s %s was answered %d %q, want JSON: %v", method, path, a.StatusCode, text, err)
	}
	return a.StatusCode, answer
}

// value returns what is at a path of objects and indexes in an answer, or nil.
func value(answer any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			object, _ := answer.(map[string]any)
			answer = object[p]
		case int:
			list, _ := answer.([]any)
			if p >= len(list) {
				return nil
			}
			answer = list[p]
		}
	}
	return answer
}

// name returns the full name of a document.
func (c *restClient) name(path string) string {
	_, name, _ := strings.Cut(c.base, "/v1/")
	return name + "/" + path
}

// TestDocumentsOverHTTP: the REST form of the service, as curl and REST clients use it. It
// runs on Google's emulator too.
func TestDocumentsOverHTTP(t *testing.T) {
	t.Parallel()
	c := newRESTClient(t)

	code, made := c.call("POST", "/cities?documentId=riga", `{"fields": {"name": {"stringValue": "Riga"}, "people": {"integerValue": "600000"}}}`)
	check.Equal(t, code, 200, "status of the creation")
	check.Equal(t, value(made, "name"), any(c.name("cities/riga")), "name of the new document")

	code, again := c.call("POST", "/cities?documentId=riga", `{}`)
	check.Equal(t, code, 409, "status of a second creation")
	check.Equal(t, value(again, "error", "status"), any("ALREADY_EXISTS"), "its status in words")

	_, changed := c.call("PATCH", "/cities/riga?updateMask.fieldPaths=people&updateMask.fieldPaths=mayor", `{"fields": {"people": {"integerValue": "605273"}}}`)
	check.Equal(t, value(changed, "fields", "people", "integerValue"), any("605273"), "people after the change")
	check.Equal(t, value(changed, "fields", "name", "stringValue"), any("Riga"), "name, which the mask leaves alone")

	c.call("PATCH", "/cities/riga/streets/brivibas", `{"fields": {"length": {"doubleValue": 12.5}}}`)
	_, street := c.call("GET", "/cities/riga/streets/brivibas", "")
	check.Equal(t, value(street, "fields", "length", "doubleValue"), any(12.5), "length of a document in a collection below a document")
	_, page := c.call("GET", "/cities/riga/streets?pageSize=5", "")
	check.Equal(t, value(page, "documents", 0, "name"), any(c.name("cities/riga/streets/brivibas")), "first document of the list")

	code, _ = c.call("DELETE", "/cities/riga/streets/brivibas", "")
	check.Equal(t, code, 200, "status of the deletion")
	code, none := c.call("GET", "/cities/riga/streets/brivibas", "")
	check.Equal(t, code, 404, "status of a missing document")
	check.Equal(t, value(none, "error", "status"), any("NOT_FOUND"), "its status in words")
}

// TestQueriesOverHTTP: methods with a stream of responses answer with an array.
func TestQueriesOverHTTP(t *testing.T) {
	t.Parallel()
	c := newRESTClient(t)
	c.call("PATCH", "/cities/riga", `{"fields": {"people": {"integerValue": "600000"}}}`)
	c.call("PATCH", "/cities/cesis", `{"fields": {"people": {"integerValue": "15000"}}}`)

	_, found := c.call("POST", ":runQuery", `{"structuredQuery": {"from": [{"collectionId": "cities"}], "where": {"fieldFilter": {
		"field": {"fieldPath": "people"}, "op": "GREATER_THAN", "value": {"integerValue": "20000"}}}}}`)
	check.Equal(t, value(found, 0, "document", "name"), any(c.name("cities/riga")), "the document that the query finds")

	_, both := c.call("POST", ":batchGet", fmt.Sprintf(`{"documents": [%q, %q]}`, c.name("cities/riga"), c.name("cities/none")))
	check.Equal(t, value(both, 0, "found", "name"), any(c.name("cities/riga")), "the document that is there")
	check.Equal(t, value(both, 1, "missing"), any(c.name("cities/none")), "the document that is missing")

	_, sums := c.call("POST", ":runAggregationQuery", `{"structuredAggregationQuery": {"structuredQuery": {"from": [{"collectionId": "cities"}]},
		"aggregations": [{"alias": "n", "count": {}}]}}`)
	check.Equal(t, value(sums, 0, "result", "aggregateFields", "n", "integerValue"), any("2"), "number of documents")

	if os.Getenv("FIRESTORE_EMULATOR_HOST") != "" {
		return // Google's emulator answers a refused query in another form
	}
	code, refused := c.call("POST", ":runQuery", `{"structuredQuery": {"from": [{"collectionId": "cities"}], "limit": -1}}`)
	check.Equal(t, code, 400, "status of a query with a wrong limit")
	check.Equal(t, value(refused, 0, "error", "status"), any("INVALID_ARGUMENT"), "its status in words")
}

func TestTransactionsOverHTTP(t *testing.T) {
	t.Parallel()
	c := newRESTClient(t)
	c.call("PATCH", "/counters/a", `{"fields": {"n": {"integerValue": "1"}}}`)

	_, begun := c.call("POST", ":beginTransaction", `{"options": {"readWrite": {}}}`)
	tx, _ := value(begun, "transaction").(string)
	if tx == "" {
		t.Fatalf("beginTransaction was answered %v, want a transaction", begun)
	}
	_, read := c.call("POST", ":batchGet", fmt.Sprintf(`{"documents": [%q], "transaction": %q}`, c.name("counters/a"), tx))
	check.Equal(t, value(read, 0, "found", "fields", "n", "integerValue"), any("1"), "n in the transaction")
	code, _ := c.call("POST", ":commit", fmt.Sprintf(`{"transaction": %q, "writes": [{"update": {"name": %q, "fields": {"n": {"integerValue": "2"}}}}]}`, tx, c.name("counters/a")))
	check.Equal(t, code, 200, "status of the commit")

	code, lost := c.call("POST", ":commit", fmt.Sprintf(`{"transaction": %q, "writes": []}`, tx))
	check.Equal(t, code, 400, "status of a second commit (%v)", lost)
	_, after := c.call("GET", "/counters/a", "")
	check.Equal(t, value(after, "fields", "n", "integerValue"), any("2"), "n after the commit")
}

// TestFaultsOverHTTP: bad requests get an answer that names the fault.
// Google's emulator does not answer all of them, so this runs on ours alone.
func TestFaultsOverHTTP(t *testing.T) {
	t.Parallel()
	c := &restClient{t, "http://" + start(t, firestore.Options{}).Addr() + "/v1/" + root}
	for name, x := range map[string]struct {
		method, path, body string
		code               int
		status             string
	}{
		"no JSON":                       {"PATCH", "/a/b", `{"fields": `, 400, "INVALID_ARGUMENT"},
		"an unknown field":              {"PATCH", "/a/b", `{"felds": {}}`, 400, "INVALID_ARGUMENT"},
		"an unknown parameter":          {"GET", "/a/b?musk.fieldPaths=x", "", 400, "INVALID_ARGUMENT"},
		"a parameter that is no number": {"GET", "/a?pageSize=many", "", 400, "INVALID_ARGUMENT"},
		"no such method":                {"POST", ":runQuary", "{}", 404, "NOT_FOUND"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, answer := c.call(x.method, x.path, x.body)
			check.Equal(t, code, x.code, "status (%v)", answer)
			check.Equal(t, value(answer, "error", "status"), any(x.status), "status in words")
		})
	}
}
