package mailings

import (
	"context"
	"encoding/json"
	"time"

	"carillon.example/shared/push"
)

// idInput is a request about one mailing or message.
type idInput struct {
	ID string `path:"id" maxLength:"100" doc:"the id of the mailing, from the answer to POST /v1/mailings"`
}

// showInput is GET /v1/mailings/{id}.
type showInput struct {
	ID       string `path:"id" maxLength:"100" doc:"the id of the mailing, from the answer to POST /v1/mailings"`
	Audience string `query:"audience" enum:"short,whole" default:"short" doc:"whole: the answer has the customers or tokens that the audience lists, also if they are more than 100"`
}

// mailingBody is a mailing as the API shows it.
type mailingBody struct {
	ID              string             `json:"id"`
	State           push.State         `json:"state" enum:"scheduled,accepted,sending,paused,completed,cancelled,expired,refused"`
	PausedReason    push.PauseReason   `json:"pausedReason,omitempty" enum:"by_hand,credentials,wrong_sender,implausible_invalid,audience_too_large" doc:"why the mailing is paused. A mailing that completed while Carillon had paused it keeps the reason"`
	PausedDetail    string             `json:"pausedDetail,omitempty" doc:"what led to the pause, in words"`
	PausedBecause   string             `json:"pausedBecause,omitempty" deprecated:"true" doc:"pausedReason and pausedDetail as one text; is removed in the next release"`
	PausedPlatforms []push.Platform    `json:"pausedPlatforms,omitempty" doc:"platforms that refuse the app's credentials: their tokens wait, others go on"`
	Refusal         string             `json:"refusal,omitempty" doc:"why the mailing is refused, in FCM's words"`
	CreatedAt       time.Time          `json:"createdAt"`
	CreatedBy       push.Caller        `json:"createdBy,omitempty" doc:"who created it: the e-mail address or the subject of the caller's ID token"`
	StartedAt       *time.Time         `json:"startedAt"`
	CompletedAt     *time.Time         `json:"completedAt"`
	ExpiresAt       time.Time          `json:"expiresAt"`
	SecondsLeft     *int64             `json:"secondsLeft,omitempty" doc:"while it is sending: about how long it still takes, by the rate, the quota and the estimated audience"`
	AudienceList    *push.AudienceList `json:"audienceList,omitempty" doc:"with an audience of customers or tokens: how many it lists, and whether this answer has them"`
	Hours           *push.Window       `json:"hours,omitempty" doc:"once it has started: the hours in force, its own window or that of the settings"`
	Unflag          *push.Unflag       `json:"unflag,omitempty" doc:"the progress of POST /v1/mailings/{id}/unflag; absent if it was not called"`
	push.Draft
	Customers        push.CustomerTotals         `json:"customers"`
	Tokens           push.TokenTotals            `json:"tokens"`
	Reported         push.Reported               `json:"reported" doc:"what phones reported; it says nothing of phones whose app does not report"`
	FCMReport        *push.DeliveryReport        `json:"fcmReport,omitempty" doc:"what FCM's Data API reports (only if DELIVERY_DATA_APPS is set) of Android phones whose owners share usage data; computed from FCM's percentages"`
	Held             map[string]int64            `json:"held" doc:"flags that wait for evidence, by code; these tokens are counted in tokens.invalid"`
	MissingAttribute int64                       `json:"missingAttribute" doc:"a warning: tokens that were sent a message which was rendered without an attribute that the templates name, whatever FCM answered"`
	Platforms        map[string]push.TokenTotals `json:"platforms,omitempty" doc:"the sums of the tokens of each platform (android, ios, web, unknown): together they are tokens"`
	Apps             map[string]push.TokenTotals `json:"apps,omitempty" doc:"once completedAt is set: the sums of the tokens of each app, by the name with which tokens were registered; unknown: registered without one; beyond 50 apps the smallest together as other; together they are tokens"`
	Variants         map[string]variantBody      `json:"variants,omitempty" doc:"the variants by name, each with its sums: together they are customers.targeted and tokens"`
}

// variantBody is a variant as the API shows it, with its sums.
type variantBody struct {
	Share   float64         `json:"share"`
	Message json.RawMessage `json:"message"`
	Link    string          `json:"link,omitempty"`
	push.VariantTotals
	push.Reported
}

// mailingOutput is the answer to GET /v1/mailings/{id}.
type mailingOutput struct{ Body mailingBody }

// timeOrNil returns nil for the zero time, which JSON then leaves out or shows as null.
func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// newMailingBody returns a mailing as the API shows it, with its totals and what phones
// reported.
func newMailingBody(m *push.Mailing, t push.Totals, r push.ReportCounts) mailingBody {
	var variants map[string]variantBody
	for i, v := range m.Draft.Variants {
		if variants == nil {
			variants = map[string]variantBody{}
		}
		variants[v.Name] = variantBody{v.Share, v.Message, v.Link, t.Variants[v.Name], r.CountsOfVariant(i)}
	}

	return mailingBody{
		ID: m.ID, State: m.State, PausedReason: m.PausedReason, PausedDetail: m.PausedDetail, PausedBecause: m.PausedBecause(),
		Hours: m.Hours, PausedPlatforms: m.PausedPlatforms, Refusal: m.Refusal, CreatedAt: m.CreatedAt, CreatedBy: m.CreatedBy, StartedAt: timeOrNil(m.StartedAt), CompletedAt: timeOrNil(m.CompletedAt),
		ExpiresAt: m.ExpiresAt, Draft: m.Draft, Customers: t.Customers, Tokens: t.Tokens, Reported: r.Reported, Held: t.Held, Variants: variants,
		MissingAttribute: t.MissingAttribute, Platforms: t.Platforms, Apps: t.Apps,
	}
}

// showMailing answers GET /v1/mailings/{id}.
func (s *service) showMailing(ctx context.Context, in *showInput) (*mailingOutput, error) {
	m, list, err := s.Store.ReadMailingWithAudience(ctx, in.ID, in.Audience == "whole")
	if err != nil {
		return nil, err
	}
	t, err := s.Store.ReadTotals(ctx, m)
	if err != nil {
		return nil, err
	}
	reported, err := s.Store.CountReports(ctx, m)
	if err != nil {
		return nil, err
	}
	out := &mailingOutput{newMailingBody(m, t, reported)}
	if out.Body.SecondsLeft, err = s.secondsLeft(ctx, m, t); err != nil {
		return nil, err
	}
	if out.Body.FCMReport, err = s.readFCMReport(ctx, m); err != nil {
		return nil, err
	}
	out.Body.AudienceList = list
	out.Body.Unflag, err = s.Store.ReadUnflagProgress(ctx, m)
	return out, err
}

// readFCMReport returns what FCM reports of a mailing's messages; nil: nothing, or it is off.
func (s *service) readFCMReport(ctx context.Context, m *push.Mailing) (*push.DeliveryReport, error) {
	if !s.ShowFCMReport || m.Label == "" {
		return nil, nil
	}
	report, err := s.Store.ReadDeliveryReport(ctx, m.Label)
	if report != nil {
		report.Shared = m.Label != m.ID
	}
	return report, err
}

// listInput is GET /v1/mailings.
type listInput struct {
	State     push.State `query:"state" enum:"scheduled,accepted,sending,paused,completed,cancelled,expired,refused"`
	Tag       string     `query:"tag" maxLength:"50" doc:"only mailings that have this tag"`
	PageSize  int        `query:"pageSize" minimum:"1" maximum:"500" default:"50"`
	PageToken string     `query:"pageToken" maxLength:"500"`
}

// listedMailing is a mailing as a list shows it.
type listedMailing struct {
	ID           string               `json:"id"`
	Name         string               `json:"name,omitempty"`
	Tags         []string             `json:"tags,omitempty"`
	Title        string               `json:"title,omitempty" doc:"the title of its notification before templates are rendered, at most 300 bytes"`
	State        push.State           `json:"state" enum:"scheduled,accepted,sending,paused,completed,cancelled,expired,refused"`
	PausedReason push.PauseReason     `json:"pausedReason,omitempty" enum:"by_hand,credentials,wrong_sender,implausible_invalid,audience_too_large"`
	DryRun       bool                 `json:"dryRun,omitempty"`
	SendAt       *time.Time           `json:"sendAt,omitempty"`
	CreatedBy    push.Caller          `json:"createdBy,omitempty" doc:"who created it"`
	CreatedAt    time.Time            `json:"createdAt"`
	StartedAt    *time.Time           `json:"startedAt"`
	CompletedAt  *time.Time           `json:"completedAt"`
	ExpiresAt    time.Time            `json:"expiresAt"`
	Customers    *push.CustomerTotals `json:"customers,omitempty" doc:"the final sums; absent until completedAt is set"`
	Tokens       *push.TokenTotals    `json:"tokens,omitempty" doc:"the final sums; absent until completedAt is set"`
}

// listOutput is the answer to GET /v1/mailings.
type listOutput struct {
	Body struct {
		Mailings      []listedMailing `json:"mailings"`
		NextPageToken string          `json:"nextPageToken,omitempty"`
	}
}

// listMailings answers GET /v1/mailings.
func (s *service) listMailings(ctx context.Context, in *listInput) (*listOutput, error) {
	list, next, err := s.Store.ListMailings(ctx, in.State, in.Tag, in.PageSize, in.PageToken)
	if err != nil {
		return nil, err
	}
	out := &listOutput{}
	out.Body.Mailings, out.Body.NextPageToken = []listedMailing{}, next
	for _, m := range list {
		out.Body.Mailings = append(out.Body.Mailings, newListedMailing(m))
	}
	return out, nil
}

// newListedMailing returns a mailing as a list shows it.
func newListedMailing(m *push.Mailing) listedMailing {
	l := listedMailing{
		ID: m.ID, Name: m.Name, Tags: m.Tags, Title: m.Title, State: m.State, PausedReason: m.PausedReason, DryRun: m.DryRun,
		CreatedBy: m.CreatedBy,
		SendAt:    m.SendAt, CreatedAt: m.CreatedAt, StartedAt: timeOrNil(m.StartedAt), CompletedAt: timeOrNil(m.CompletedAt), ExpiresAt: m.ExpiresAt,
	}
	if m.Totals != nil {
		l.Customers, l.Tokens = &m.Totals.Customers, &m.Totals.Tokens
	}
	return l
}

// invalidInput is GET /v1/mailings/{id}/invalid-tokens.
type invalidInput struct {
	ID        string `path:"id" maxLength:"100"`
	PageSize  int    `query:"pageSize" minimum:"1" maximum:"500" default:"50"`
	PageToken string `query:"pageToken" maxLength:"500"`
}

// invalidOutput is the answer to GET /v1/mailings/{id}/invalid-tokens.
type invalidOutput struct {
	Body struct {
		Tokens        []push.InvalidToken `json:"tokens"`
		NextPageToken string              `json:"nextPageToken,omitempty"`
	}
}

// listInvalidTokens answers GET /v1/mailings/{id}/invalid-tokens.
func (s *service) listInvalidTokens(ctx context.Context, in *invalidInput) (*invalidOutput, error) {
	if _, err := s.Store.ReadMailingHeader(ctx, in.ID); err != nil {
		return nil, err
	}
	list, next, err := s.Store.ListInvalidTokens(ctx, in.ID, in.PageSize, in.PageToken)
	if err != nil {
		return nil, err
	}
	out := &invalidOutput{}
	out.Body.Tokens, out.Body.NextPageToken = list, next
	if list == nil {
		out.Body.Tokens = []push.InvalidToken{}
	}
	return out, nil
}
