package customers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// exportPage is how many customers are in memory at the same time.
const exportPage = 1000

// exportInput is GET /v1/exports/availability.
type exportInput struct {
	Format string `query:"format" enum:"ndjson,csv" default:"ndjson"`
	Accept string `header:"Accept-Encoding" doc:"gzip: the answer is compressed"`
	After  string `query:"after" doc:"the last customer of an export that broke off; the export continues after this customer"`
}

// exportLine is a line of an export.
type exportLine struct {
	ID            string                 `json:"id"`
	PushAvailable bool                   `json:"pushAvailable"`
	ValidTokens   int                    `json:"validTokens"`
	Platform      []push.Platform        `json:"platform" nullable:"false" doc:"of the valid tokens, each once"`
	App           []string               `json:"app" nullable:"false" doc:"of the valid tokens, each once"`
	State         push.AvailabilityState `json:"state" enum:"reachable,muted,silent,unreachable"`
	Since         time.Time              `json:"since" doc:"when the state began"`
}

// newExportLine returns the line of a customer.
func newExportLine(r store.CustomerAvailability) exportLine {
	l := exportLine{ID: r.Customer, PushAvailable: r.ValidTokens > 0, ValidTokens: r.ValidTokens,
		Platform: r.Platforms, App: r.Apps, State: r.Availability.State, Since: r.Availability.Since}
	if l.Platform == nil {
		l.Platform = []push.Platform{}
	}
	if l.App == nil {
		l.App = []string{}
	}
	return l
}

// exportOperation describes the export, whose answer is a stream in one of two formats.
func exportOperation(a *api.API) huma.Operation {
	op := api.WithLongDeadline(api.RequirePermission(push.PermissionRead, newOperation(http.MethodGet, "/v1/exports/availability", "export-availability", "Stream who can be reached, all customers", http.StatusOK)))
	op.Description = "One customer a line, always in the same order. If an answer breaks off, continue with after. " +
		"In CSV platforms and apps are separated by |, and an apostrophe precedes a text that a spreadsheet would take for a formula."
	line := a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[exportLine](), true, "")
	op.Responses = map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
		"application/x-ndjson": {Schema: line}, "text/csv": {Schema: &huma.Schema{Type: huma.TypeString}},
	}}}
	return op
}

// exportAvailability answers page by page. The first page is read before the answer begins, so
// that an error can still be answered.
func (s *service) exportAvailability(ctx context.Context, in *exportInput) (*huma.StreamResponse, error) {
	if why := push.CheckCustomerID(in.After); in.After != "" && why != "" {
		return nil, push.Faults{{Location: "query.after", Message: why}}
	}
	page, err := s.Store.ListAvailabilities(ctx, in.After, exportPage)
	if err != nil {
		return nil, err
	}

	kind := "application/x-ndjson"
	if in.Format == "csv" {
		kind = "text/csv; charset=utf-8; header=present"
	}
	failed := func(err error) { s.Log.WarnContext(ctx, "an export broke off", "error", err) }
	return &huma.StreamResponse{Body: func(h huma.Context) {
		var lines func([]store.CustomerAvailability) error
		write := func(w io.Writer) error {
			if lines == nil {
				lines = lineWriter(in.Format, w, in.After == "")
			}
			return lines(page)
		}
		api.Stream(h, kind, in.Accept, failed, write, func() (bool, error) {
			var err error
			page, err = s.readNextPage(ctx, page)
			return len(page) > 0, err
		})
	}}, nil
}

// readNextPage returns the page after a page, empty after the last one.
func (s *service) readNextPage(ctx context.Context, page []store.CustomerAvailability) ([]store.CustomerAvailability, error) {
	if len(page) < exportPage {
		return nil, nil
	}
	return s.Store.ListAvailabilities(ctx, page[len(page)-1].Customer, exportPage)
}

// lineWriter writes pages in a format. CSV has its header at the start.
func lineWriter(format string, w io.Writer, start bool) func([]store.CustomerAvailability) error {
	if format != "csv" {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return func(page []store.CustomerAvailability) error {
			for _, r := range page {
				if err := enc.Encode(newExportLine(r)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if start {
		_, _ = io.WriteString(w, "id,pushAvailable,validTokens,platform,app,state,since\n") // a fault shows with the first page
	}

	var lines bytes.Buffer
	return func(page []store.CustomerAvailability) error {
		for _, r := range page {
			l := newExportLine(r)
			fmt.Fprintf(&lines, "%s,%t,%d,%s,%s,%s,%s\n", quoteCell(l.ID), l.PushAvailable, l.ValidTokens,
				quoteCell(joinList(l.Platform)), quoteCell(joinList(l.App)), l.State, l.Since.Format(time.RFC3339Nano))
		}
		_, err := lines.WriteTo(w)
		return err
	}
}

// joinList returns a list as one cell.
func joinList[T ~string](list []T) string {
	texts := make([]string, len(list))
	for i, x := range list {
		texts[i] = string(x)
	}
	return strings.Join(texts, "|")
}

// quoteCell returns a text in quotes, because the separator of cells depends on the
// language of the reader, and in a form that a spreadsheet does not take for a
// formula.
func quoteCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r'", rune(s[0])) {
		s = "'" + s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}
