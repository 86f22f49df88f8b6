package customers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

const (
	maxLines  = 5000
	maxErrors = 100
)

type importInput struct {
	RawBody []byte `contentType:"application/x-ndjson"`
}

type lineError struct {
	Line    int    `json:"line"`
	Message string `json:"message"`
}

type importOutput struct {
	Body struct {
		Imported int         `json:"imported"`
		Failed   int         `json:"failed"`
		Errors   []lineError `json:"errors"`
	}
}

// line is a customer of an import.
type line struct {
	ID         string          `json:"id"`
	Tokens     []registration  `json:"tokens"`
	Segments   []string        `json:"segments"`
	Attributes map[string]any  `json:"attributes"`
	OptedOut   bool            `json:"optedOut"`
	Categories map[string]bool `json:"categories"`
	TimeZone   string          `json:"timeZone"`
}

func (s *service) importLines(ctx context.Context, in *importInput) (*importOutput, error) {
	out := &importOutput{}
	out.Body.Errors = []lineError{}
	fail := func(n int, err error) {
		out.Body.Failed++
		if len(out.Body.Errors) < maxErrors {
			out.Body.Errors = append(out.Body.Errors, lineError{n, err.Error()})
		}
	}
	var lines []store.ImportLine
	var numbers []int
	n := 0
	for raw := range bytes.Lines(in.RawBody) {
		if n++; n > maxLines {
			return nil, push.Faults{{Location: "body", Message: fmt.Sprintf("has more than %d lines", maxLines)}}
		}
		if raw = bytes.TrimSpace(raw); len(raw) == 0 {
			continue
		}
		l, err := parse(raw)
		if err != nil {
			fail(n, err)
			continue
		}
		lines, numbers = append(lines, l), append(numbers, n)
	}
	for i, err := range s.Store.Import(ctx, lines) {
		if err != nil {
			fail(numbers[i], err)
			continue
		}
		out.Body.Imported++
	}
	return out, nil
}

func parse(raw []byte) (out store.ImportLine, err error) {
	if err := api.CheckJSON(raw); err != nil {
		return out, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	var l line
	if err := dec.Decode(&l); err != nil {
		return out, fmt.Errorf("is no customer: %w", err)
	}
	var faults push.Faults
	if why := push.CheckCustomerID(l.ID); why != "" {
		faults = append(faults, push.Fault{Location: "id", Message: why})
	}
	for i, r := range l.Tokens {
		reg, f := r.check(fmt.Sprintf("tokens[%d]", i))
		faults = append(faults, f...)
		out.Tokens = append(out.Tokens, reg)
	}
	out.Customer = push.Customer{ID: l.ID, Segments: l.Segments, Attributes: l.Attributes, OptedOut: l.OptedOut, Categories: l.Categories, TimeZone: l.TimeZone}
	return out, faults.Err()
}
