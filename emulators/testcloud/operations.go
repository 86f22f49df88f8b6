package testcloud

import (
	"net/http"
	"testing"
)

// A Request is a request of a test to one operation.
type Request struct {
	Method, Path string
	Body         string
	Header       []string // pairs
}

// EachOperation runs f in a parallel subtest for each operation of an API's
// OpenAPI document, with the request of its operation id. An operation without a
// request fails the test, so that each new operation gets a request.
func EachOperation(t *testing.T, s *Client, requests map[string]Request, f func(t *testing.T, s *Client, r Request), header ...string) {
	t.Helper()
	type document struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		} `json:"paths"`
	}
	for path, methods := range Decode[document](s.Ask("GET", "/openapi.json", "", header...), http.StatusOK).Paths {
		for method, op := range methods {
			t.Run(op.OperationID, func(t *testing.T) {
				t.Parallel()
				r, ok := requests[op.OperationID]
				if !ok {
					t.Fatalf("%s %s has no request in this test", method, path)
				}
				f(t, At(t, s.URL), r)
			})
		}
	}
}
