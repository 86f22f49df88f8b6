package probe

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"carillon.example/emulators/fcm"
)

// compareFCM sends every case to FCM and to our emulator.
func (p *probe) compareFCM(ctx context.Context, n names, hidden *redactor) (*comparisons, []error) {
	service, err := p.openFCM(ctx, hidden)
	if err != nil {
		return nil, []error{fmt.Errorf("FCM: %w", err)}
	}
	server, err := fcm.Start("127.0.0.1:0", fcm.Options{RequireAuth: true})
	if err != nil {
		return nil, []error{fmt.Errorf("FCM: %w", err)}
	}
	defer server.Close()
	cases := fcmCases(n)
	emulator := &fcmSide{endpoint: server.URL(), project: p.project, hidden: hidden,
		client: newFCMClient(withHeader{http.DefaultTransport, emulatorHeader}), anonymous: newFCMClient(http.DefaultTransport)}

	fmt.Fprintf(p.out, "FCM at %s. Each request has validate_only: FCM checks the message, and no phone gets it.\n\n", service.endpoint)
	out := &comparisons{Service: hidden.hide(hostOf(service.endpoint))}
	faults := out.compareAll(ctx, len(cases), func(i int) (comparison, error) { return compareFCMCase(ctx, cases[i], service, emulator) })
	out.print(p.out)
	return out, prefixed("FCM", faults)
}

// compareFCMCase sends one case to both sides.
func compareFCMCase(ctx context.Context, c fcmCase, service, emulator *fcmSide) (one comparison, err error) {
	one = comparison{Case: c.name, Note: c.note}
	if one.Service, err = service.send(ctx, c); err != nil {
		return one, err
	}
	if one.Emulator, err = emulator.send(ctx, c); err != nil {
		return one, fmt.Errorf("our emulator: %w", err)
	}
	one.compare()
	return one, nil
}

// hostOf returns the host of an address.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// fcmBody is the body of an answer of FCM.
type fcmBody struct {
	Name  string `json:"name"`
	Error struct {
		Status  string `json:"status"`
		Message string `json:"message"`
		Details []struct {
			Type       string `json:"@type"`
			ErrorCode  string `json:"errorCode"`
			Violations []struct {
				Field string `json:"field"`
			} `json:"fieldViolations"`
		} `json:"details"`
	} `json:"error"`
}

// readFCMAnswer reads what is compared from an answer. The order of details and violations is
// no promise of FCM, so they are sorted.
func readFCMAnswer(status int, body []byte, hidden *redactor) answer {
	var b fcmBody
	text := ""
	if err := json.Unmarshal(body, &b); err != nil {
		text = "not JSON: " + string(body)
	}
	var types, codes, fields []string
	for _, d := range b.Error.Details {
		types = append(types, strings.TrimPrefix(d.Type, "type.googleapis.com/"))
		if d.ErrorCode != "" {
			codes = append(codes, d.ErrorCode)
		}
		for _, v := range d.Violations {
			fields = append(fields, v.Field)
		}
	}
	if b.Error.Message != "" {
		text = b.Error.Message
	}

	join := func(parts []string) string {
		slices.Sort(parts)
		return hidden.hide(strings.Join(parts, ", "))
	}
	return answer{Text: hidden.hide(text), Facts: []fact{
		{"status code", strconv.Itoa(status)}, {"error.status", hidden.hide(b.Error.Status)}, {"errorCode", join(codes)},
		{"field violations", join(fields)}, {"details", join(types)}, {"name", hidden.hide(b.Name)},
	}}
}
