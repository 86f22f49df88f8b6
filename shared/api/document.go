package api

import (
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// A Documentation is the part of an OpenAPI document that is not in the code.
type Documentation struct {
	Description string            // of the whole API, in CommonMark
	Tags        map[string]string // descriptions of tags, by name
	Operations  map[string]OperationDoc
	// Schemas are keyed by place. "Draft.message" replaces the schema that the code
	// gives to a property; "AudienceEveryone" adds a schema that others refer to. They
	// are documentation only: requests are not checked against them.
	Schemas      map[string]map[string]any
	SecurityName string         // name of the security scheme that every operation needs
	Security     map[string]any // the scheme itself
}

// An OperationDoc describes one operation.
type OperationDoc struct {
	Tag         string
	Description string
	Example     any   // an example of the request body; nil: none
	Statuses    []int // further success statuses, with the same body as the first
}

// Invoker is the security scheme of functions that Cloud Run IAM protects.
func Invoker() map[string]any {
	return map[string]any{"type": "http", "scheme": "bearer", "bearerFormat": "JWT",
		"description": "a Google ID token of a caller with roles/run.invoker, with the function's address as its audience"}
}

// Describe adds documentation to the API, and serves the document at /openapi.json
// and a page that links to it at /. Call it after all operations are registered.
func (a *API) Describe(d Documentation) {
	made := sync.OnceValues(func() ([]byte, error) { return a.buildDocument(d) }) // the same for all requests

	a.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		b, err := made()
		if err != nil {
			a.log.Error("the OpenAPI document cannot be made", "error", err)
			(&Problem{Status: http.StatusInternalServerError}).Write(w)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.oai.openapi+json")
		_, _ = w.Write(b) // the client has gone
	})

	a.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { a.servePage(w, d) })
}

// buildDocument returns the OpenAPI document as JSON.
func (a *API) buildDocument(d Documentation) ([]byte, error) {
	raw, err := json.Marshal(a.OpenAPI())
	if err != nil {
		return nil, err
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}

	// The document comes from OpenAPI, so the types below are known.
	info := doc["info"].(map[string]any)
	info["description"] = d.Description
	info["contact"] = map[string]any{"name": "the operator of this Carillon"}
	info["license"] = map[string]any{"name": "not licensed to others", "identifier": "LicenseRef-Carillon"}
	doc["servers"] = []any{map[string]any{"url": "/", "description": "the function that serves this document"}}
	doc["security"] = []any{map[string]any{d.SecurityName: []any{}}}

	tags := []any{}
	for _, name := range slices.Sorted(maps.Keys(d.Tags)) {
		tags = append(tags, map[string]any{"name": name, "description": d.Tags[name]})
	}
	doc["tags"] = tags

	components := doc["components"].(map[string]any)
	components["securitySchemes"] = map[string]any{d.SecurityName: d.Security}
	for place, schema := range d.Schemas {
		if err := replaceSchema(components["schemas"].(map[string]any), place, schema); err != nil {
			return nil, err
		}
	}

	for _, item := range doc["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			describeOperation(method, op.(map[string]any), d)
		}
	}
	return json.Marshal(fixKeywords(doc))
}

// replaceSchema sets the schema of a property (place "Draft.message"), or a whole schema
// (place "AudienceEveryone"). A property that the code does not have is an error.
func replaceSchema(schemas map[string]any, place string, schema map[string]any) error {
	name, property, ok := strings.Cut(place, ".")
	if !ok {
		schemas[name] = schema
		return nil
	}

	s, known := schemas[name].(map[string]any)
	if !known {
		return fmt.Errorf("there is no schema %s", name)
	}

	properties, _ := s["properties"].(map[string]any)
	if properties[property] == nil {
		return fmt.Errorf("the schema %s has no property %s", name, property)
	}

	properties[property] = schema
	return nil
}

// describeOperation adds its description to an operation, and the error answers that
// every operation may give.
func describeOperation(method string, op map[string]any, d Documentation) {
	doc := d.Operations[op["operationId"].(string)]
	op["tags"], op["description"] = []any{doc.Tag}, doc.Description

	answers := op["responses"].(map[string]any)
	delete(answers, "default")
	errors := []int{http.StatusBadRequest, http.StatusForbidden, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}
	if body, ok := op["requestBody"].(map[string]any); ok || method == "post" {
		errors = append(errors, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
		if ok && doc.Example != nil {
			for _, media := range body["content"].(map[string]any) {
				media.(map[string]any)["example"] = doc.Example
			}
		}
	}

	for _, status := range errors {
		answers[fmt.Sprint(status)] = map[string]any{
			"description": http.StatusText(status),
			"content":     map[string]any{"application/problem+json": map[string]any{"schema": map[string]any{"$ref": "#/components/schemas/Problem"}}},
		}
	}

	for _, status := range doc.Statuses {
		for _, first := range []string{"200", "201", "202", "204"} {
			if answers[first] != nil {
				answers[fmt.Sprint(status)] = answers[first]
				break
			}
		}
	}
}

// fixKeywords returns a copy of a document. In the copy huma's patternDescription, which
// JSON Schema does not have, is an extension (x-…), and no list may be null. The result
// is a copy because all APIs with the same Documentation share its examples.
func fixKeywords(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = fixKeywords(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			if k == "patternDescription" {
				k = "x-pattern-description"
			}
			out[k] = fixKeywords(x)
		}
		if types, ok := v["type"].([]any); ok && len(types) == 2 && types[0] == "array" && types[1] == "null" {
			out["type"] = "array"
		}
		return out
	}

	return v
}

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{{.Title}}</title>
<h1>{{.Title}}</h1>
<p>The contract of this function is its OpenAPI document: <a href="openapi.json">openapi.json</a>.</p>
<table><tr><th>Operation</th><th>What it does</th></tr>
{{range .Operations}}<tr><td><code>{{.Method}} {{.Path}}</code></td><td>{{.Summary}}</td></tr>
{{end}}</table></html>
`))

// servePage answers with an HTML page that lists the operations.
func (a *API) servePage(w http.ResponseWriter, _ Documentation) {
	type row struct{ Method, Path, Summary string }
	var rows []row
	for _, path := range slices.Sorted(maps.Keys(a.OpenAPI().Paths)) {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if op := a.findOperation(method + " " + path); op != nil {
				rows = append(rows, row{method, path, op.Summary})
			}
		}
	}

	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	_ = page.Execute(w, map[string]any{"Title": a.OpenAPI().Info.Title, "Operations": rows}) // the client has gone
}
