package customers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
)

// registration is a token as it is reported.
type registration struct {
	Token         string             `json:"token,omitempty" doc:"a registration token"`
	FID           string             `json:"fid,omitempty" doc:"instead of token: a Firebase installation id"`
	Platform      push.Platform      `json:"platform,omitempty" enum:"android,ios,web"`
	App           string             `json:"app,omitempty" doc:"the app's name, at most 200 bytes"`
	Notifications push.Notifications `json:"notifications,omitempty" enum:"on,off" doc:"whether the phone shows notifications"`
	TimeZone      string             `json:"timeZone,omitempty" doc:"the time zone of the phone (a name of the IANA database); it becomes the customer's"`
	Device        string             `json:"device,omitempty" doc:"an id that the app keeps across reinstalls, at most 200 bytes: a second token of the same device and app replaces the first"`
}

// checkRegistration returns every fault of a registration at that place, first those that were
// found when it was read.
func (r *registration) checkRegistration(at string, unread push.Faults) (push.Registration, push.Faults) {
	out := push.Registration{Kind: push.KindToken, Value: r.Token, Platform: r.Platform, App: r.App, Device: r.Device, Notifications: r.Notifications, TimeZone: r.TimeZone}
	var faults push.Faults
	fault := func(place, format string, a ...any) {
		faults = append(faults, push.Fault{Location: at + place, Message: fmt.Sprintf(format, a...)})
	}
	if (r.Token == "") == (r.FID == "") && !api.NamesField(unread, at+".token", at+".fid") {
		fault("", "needs exactly one of token and fid")
	}
	if r.FID != "" {
		out.Kind, out.Value = push.KindFID, r.FID
	}
	if why := push.CheckToken(out.Value); why != "" && out.Value != "" {
		fault("."+string(out.Kind), "%s", why)
	}

	switch r.Platform {
	case "", push.Android, push.IOS, push.Web:
	default:
		fault(".platform", "must be android, ios or web")
	}

	if why := push.CheckApp(r.App); why != "" {
		fault(".app", "%s", why)
	}
	if why := push.CheckDevice(r.Device); why != "" {
		fault(".device", "%s", why)
	}
	if why := push.CheckNotifications(r.Notifications); why != "" {
		fault(".notifications", "%s", why)
	}
	if why := push.CheckTimeZone(r.TimeZone); why != "" {
		fault(".timeZone", "%s", why)
	}

	return out, api.Join(unread, faults...)
}

// registerInput is POST /v1/customers/{customer}/tokens.
type registerInput struct {
	CustomerPath
	Body json.RawMessage
}

// registerOutput is the answer to a registration: 201 for a new token, 200 for a known one.
type registerOutput struct {
	Status int
	Body   tokenBody
}

// registerToken answers POST /v1/customers/{customer}/tokens.
func (s *service) registerToken(ctx context.Context, in *registerInput) (*registerOutput, error) {
	body, faults := s.registrations.Read(in.Body)
	r, faults := body.checkRegistration("body", faults)
	if len(faults) > 0 {
		return nil, faults
	}

	done, err := s.Store.RegisterToken(ctx, in.Customer, r)
	if err != nil {
		return nil, err
	}

	queue.PublishEvents(ctx, s.Queue, s.Store, s.Log, done.Events)
	latest, _ := done.Customer.LatestToken()
	out := &registerOutput{Status: http.StatusOK, Body: s.newTokenBody(done.Token, latest.ID)}
	if done.Created {
		out.Status = http.StatusCreated
	}

	return out, nil
}

// unregisterInput is DELETE /v1/customers/{customer}/tokens/{token}.
type unregisterInput struct {
	CustomerPath
	Token string `path:"token" doc:"the token's id, from the answer to its registration or to a GET of its customer" pattern:"^[0-9a-v]{32}$"`
}

// unregisterToken answers DELETE /v1/customers/{customer}/tokens/{token}.
func (s *service) unregisterToken(ctx context.Context, in *unregisterInput) (*struct{}, error) {
	events, err := s.Store.UnregisterToken(ctx, in.Customer, in.Token)
	queue.PublishEvents(ctx, s.Queue, s.Store, s.Log, events)
	return nil, err
}

// tokenBody is a token as the API shows it: without the token itself.
type tokenBody struct {
	ID            string             `json:"id"`
	Kind          push.Kind          `json:"kind"`
	Platform      push.Platform      `json:"platform"`
	App           string             `json:"app"`
	Device        string             `json:"device,omitempty" doc:"the id that the app gave to its device"`
	Notifications push.Notifications `json:"notifications" enum:"on,off,unknown" doc:"whether the phone shows notifications"`
	AddedAt       time.Time          `json:"addedAt" doc:"when the customer registered it, or registered it again after it was invalid"`
	SeenAt        time.Time          `json:"seenAt" doc:"when it was registered last"`
	ReportedAt    *time.Time         `json:"reportedAt,omitempty" doc:"when it last reported a message as received or opened, to a day"`
	Expires       string             `json:"expires,omitempty" doc:"the day on which it stops being valid unless it is registered again"`
	Valid         bool               `json:"valid"`
	Latest        bool               `json:"latest" doc:"a mailing with devices=latest is sent to this token"`
	Stale         bool               `json:"stale" doc:"for 30 days the token was not registered again, and its phone reported nothing"`
	Invalid       *push.TokenFlag    `json:"invalid,omitempty"`
}

// newTokenBody returns a token as the API shows it. latest is the id of the customer's
// latest token.
func (s *service) newTokenBody(t push.Token, latest string) tokenBody {
	return tokenBody{ID: t.ID, Kind: t.Kind, Platform: t.Platform, App: t.App, Device: t.Device, Notifications: cmp.Or(t.Notifications, "unknown"), AddedAt: t.AddedAt, SeenAt: t.SeenAt, ReportedAt: timeOrNil(t.ReportedAt), Expires: t.Expires,
		Valid: t.Valid(), Latest: t.ID == latest, Stale: s.Now().Sub(t.LastActive()) > push.StaleAfter, Invalid: t.Invalid}
}
