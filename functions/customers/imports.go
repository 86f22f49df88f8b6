package customers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

const (
	// maxLines is how many lines one request may have. Empty lines count, so that the
	// number of a line is its place.
	maxLines = 5000
	// maxLineBytes is the longest line in bytes. What a customer may have is shorter.
	maxLineBytes = 256 << 10
	// maxErrors is how many bad lines an answer names. It counts all of them.
	maxErrors = 1000
)

// importInput is POST /v1/imports.
type importInput struct {
	ContentType string `header:"Content-Type" hidden:"true"` // that of a body is no parameter
	RawBody     []byte `contentType:"application/x-ndjson" doc:"one customer a line: id, tokens and what PATCH takes"`
}

// importOperation accepts lines of JSON, and rows of CSV.
func importOperation() huma.Operation {
	op := api.RequirePermission(push.PermissionProfile, newOperation(http.MethodPost, "/v1/imports", "import-customers", "Import customers, one a line", http.StatusOK))
	op.MaxBodyBytes = api.MaxImport
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		csvType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
	}}
	return api.TakesGzip(api.WithLongDeadline(op))
}

const csvType = "text/csv"

// lineError says why a line of an import was not stored.
type lineError struct {
	Line    int    `json:"line" doc:"the number of the line, from 1"`
	Message string `json:"message"`
}

// importOutput is the answer to POST /v1/imports.
type importOutput struct {
	Body struct {
		Imported int         `json:"imported" doc:"lines that are stored now, whether they changed anything or not"`
		Failed   int         `json:"failed" doc:"lines of which nothing was stored"`
		Errors   []lineError `json:"errors" doc:"what is wrong with the failed lines, at most the first 1,000"`
	}
}

// importedToken is a token in a line of an import.
type importedToken struct {
	registration
	AddedAt *time.Time `json:"addedAt"`
	SeenAt  *time.Time `json:"seenAt"`
}

// importCustomers answers POST /v1/imports. A faulty line does not affect the others.
func (s *service) importCustomers(ctx context.Context, in *importInput) (*importOutput, error) {
	if n := bytes.Count(bytes.TrimSuffix(in.RawBody, []byte("\n")), []byte("\n")) + 1; n > maxLines {
		return nil, push.Faults{{Location: "body", Message: fmt.Sprintf("has more than %d lines", maxLines)}}
	}
	all, err := s.decodeImport(ctx, in)
	if err != nil {
		return nil, err
	}

	for i := range all.good {
		all.good[i].Patch.By = callerOf(ctx) + ", by an import"
	}

	refused, events, err := s.Store.ImportCustomers(ctx, all.good)
	queue.PublishEvents(ctx, s.Queue, s.Store, s.Log, events)
	if err != nil {
		return nil, err
	}
	decided := all.recordRefused(refused)

	out := newImportOutput(all.faulty)
	out.Body.Imported = all.read - len(all.faulty)
	s.auditImport(ctx, out, decided)
	return out, nil
}

// decodeImport reads a body of either kind.
func (s *service) decodeImport(ctx context.Context, in *importInput) (all *importLines, err error) {
	body := bytes.TrimPrefix(in.RawBody, []byte("\ufeff")) // some editors begin a file with it
	kind, _, _ := mime.ParseMediaType(in.ContentType)      // the API takes no other
	late := s.api.Decode(ctx, len(in.RawBody), func() {
		if kind == csvType {
			all, err = s.parseTable(body)
		} else {
			all = s.parseLines(body)
		}
	})
	if late != nil {
		return nil, late
	}
	return all, err
}

// parseLines reads the lines of an NDJSON body.
func (s *service) parseLines(body []byte) *importLines {
	out := newImportLines()
	n := 0
	for raw := range bytes.Lines(body) {
		n++
		if raw = bytes.TrimSpace(raw); len(raw) == 0 {
			continue
		}
		out.read++
		l, err := s.parseLine(raw)
		if err != nil {
			out.faulty[n] = err
			continue
		}
		out.addLine(l, n)
	}

	return out
}

// newImportOutput lists the bad lines in order.
func newImportOutput(faulty map[int]error) *importOutput {
	out := &importOutput{}
	b := &out.Body
	b.Failed, b.Errors = len(faulty), []lineError{}
	for _, n := range slices.Sorted(maps.Keys(faulty)) {
		if len(b.Errors) < maxErrors {
			b.Errors = append(b.Errors, lineError{n, faulty[n].Error()})
		}
	}
	return out
}

// parseLine reads one line and returns every fault of it.
func (s *service) parseLine(raw []byte) (out store.ImportLine, err error) {
	if len(raw) > maxLineBytes {
		return out, fmt.Errorf("the line is %d bytes long; at most %d are allowed", len(raw), maxLineBytes)
	}
	if err := api.CheckJSON("line", raw); err != nil {
		return out, err
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil || members == nil {
		return out, push.Faults{{Location: "line", Message: "must be a JSON object"}}
	}
	out, faults := s.parseMembers(members)
	return out, limitFaults(faults, "line").Err()
}

// parseMembers reads the members of a line and returns every fault.
func (s *service) parseMembers(members map[string]json.RawMessage) (out store.ImportLine, faults push.Faults) {
	id, tokens := members["id"], members["tokens"]
	delete(members, "id")
	delete(members, "tokens")
	out.Patch, faults = push.ParsePatch(members, "line")
	if json.Unmarshal(id, &out.Customer) != nil {
		faults = append(faults, push.Fault{Location: "line.id", Message: "is missing, or no text"})
	} else if why := push.CheckCustomerID(out.Customer); why != "" {
		faults = append(faults, push.Fault{Location: "line.id", Message: why})
	}
	var more push.Faults
	out.Tokens, more = s.parseTokens(tokens)
	return out, append(faults, more...)
}

// maxLineFaults is how many faults of a line are named.
const maxLineFaults = 20

// limitFaults returns the first faults at a place, and one more if there are others.
func limitFaults(faults push.Faults, at string) push.Faults {
	if len(faults) <= maxLineFaults {
		return faults
	}
	return append(faults[:maxLineFaults:maxLineFaults], push.Fault{Location: at, Message: "has more faults than are named here"})
}

// parseTokens reads the tokens of a line and returns every fault of them.
func (s *service) parseTokens(raw json.RawMessage) ([]push.Registration, push.Faults) {
	if raw == nil {
		return nil, nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil, push.Faults{{Location: "line.tokens", Message: "must be a list"}}
	}
	if len(list) > s.MaxTokens {
		return nil, push.Faults{{Location: "line.tokens", Message: fmt.Sprintf("has %d tokens; a customer has at most %d", len(list), s.MaxTokens)}}
	}

	var out []push.Registration
	var faults push.Faults
	for i, one := range list {
		at := fmt.Sprintf("line.tokens[%d]", i)
		var t importedToken
		r, wrong := t.checkRegistration(at, t.decodeFields(one, at))
		r.AddedAt = checkTime(&wrong, at+".addedAt", t.AddedAt)
		r.SeenAt = checkTime(&wrong, at+".seenAt", t.SeenAt)
		faults = append(faults, wrong...)
		out = append(out, r)
	}

	return out, faults
}

// decodeFields decodes a token field by field, each by its exact name.
func (t *importedToken) decodeFields(raw json.RawMessage, at string) (faults push.Faults) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil || members == nil {
		return push.Faults{{Location: at, Message: "must be a JSON object"}}
	}
	fields := map[string]any{"token": &t.Token, "fid": &t.FID, "platform": &t.Platform, "app": &t.App, "device": &t.Device, "notifications": &t.Notifications, "addedAt": &t.AddedAt, "seenAt": &t.SeenAt}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if into := fields[name]; into == nil {
			faults = append(faults, push.Fault{Location: at + "." + push.Truncate(name, 60), Message: "is not known: a token has token or fid, and may have platform, app, device, notifications, addedAt and seenAt"})
		} else if json.Unmarshal(members[name], into) != nil {
			faults = append(faults, push.Fault{Location: at + "." + name, Message: "has a value that cannot be read"})
		}
	}

	return faults
}

// beforeTokens is a time before push tokens existed: some programs write an earlier
// time for none, and Firestore does not accept the earliest ones.
var beforeTokens = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

// checkTime returns a time of a line, zero if it is not given, and adds a fault for one
// that cannot be true.
func checkTime(faults *push.Faults, at string, t *time.Time) time.Time {
	if t == nil || api.NamesField(*faults, at) {
		return time.Time{}
	}
	if t.Before(beforeTokens) {
		*faults = append(*faults, push.Fault{Location: at, Message: "is before 2000, when there were no tokens; leave out what is not known"})
	}
	return *t
}
