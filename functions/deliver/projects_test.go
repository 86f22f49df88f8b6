package deliver

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/fcm"
	"carillon.example/shared/personal"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// The shop's tokens belong to the default project, the pharmacy's to another one.
var twoProjects = push.Projects{Default: "shop-prod", ByApp: map[string]string{"pharmacy": "pharmacy-prod", "clinic": "pharmacy-prod"}}

// useProjects gives the deps a sender to both projects.
func useProjects(t *testing.T, d *Deps, url string) {
	t.Helper()
	sender, err := fcm.New(t.Context(), fcm.Config{Project: twoProjects.Default, Projects: []fcm.Project{{ID: "pharmacy-prod"}},
		Endpoint: url, QuotaPerMinute: 600_000, MaxInstances: 1, Timeout: 10 * time.Second, Grace: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sender.Close)
	d.Sender, d.Projects = sender, twoProjects
}

// newRetailer makes a batchHarness with a shop and a pharmacy.
func newRetailer(t *testing.T, change func(*Deps)) *batchHarness {
	t.Helper()
	w := newBatchHarness(t, phones.Options{})
	useProjects(t, &w.deps, w.phones.URL())
	if change != nil {
		change(&w.deps)
	}
	w.d = newDeliverer(w.deps)
	return w
}

// rule sets the outcome of sends to the pharmacy's project.
func (w *batchHarness) rule(token, outcome string) {
	w.t.Helper()
	w.ruleOf("pharmacy-prod", token, outcome)
}

func (w *batchHarness) ruleOf(project, token, outcome string) {
	w.t.Helper()
	if err := w.phones.SetOutcomes(phones.Outcome{Token: token, Project: project, Outcome: outcome}); err != nil {
		w.t.Fatal(err)
	}
}

// ofApps records a mailing to so many tokens of the pharmacy, and then of the shop, each
// of a customer of its own.
func (w *batchHarness) ofApps(id string, proven bool, pharmacy, shop int) (ref push.BatchRef, pharmacyTokens, shopTokens []string) {
	w.t.Helper()
	pharmacyTokens, shopTokens = names("pharmacy-"+id, pharmacy), names("shop-"+id, shop)
	return w.toTokens(id, proven, push.KindToken, append(pharmacyTokens[:pharmacy:pharmacy], shopTokens...)), pharmacyTokens, shopTokens
}

// toTokens registers tokens, each of a customer of its own and of the app with which its
// name begins, and records a mailing to them.
func (w *batchHarness) toTokens(id string, proven bool, kind push.Kind, tokens []string) push.BatchRef {
	w.t.Helper()
	var lines []store.ImportLine
	var targets []push.Target
	for _, token := range tokens {
		app, _, _ := strings.Cut(token, "-")
		r := push.Registration{Kind: kind, Value: token, Platform: push.Android, App: app}
		lines = append(lines, store.ImportLine{Customer: "c-" + token, Tokens: []push.Registration{r}})
		targets = append(targets, push.Target{Customer: "c-" + token, Token: token, Kind: r.Kind, Platform: r.Platform, App: app})
	}
	refused, _, err := w.ImportCustomers(w.t.Context(), lines)
	if err := errors.Join(append(refused, err)...); err != nil {
		w.t.Fatal(err)
	}
	d := push.Draft{Message: json.RawMessage(`{"notification":{"title":"x"}}`), Audience: push.Audience{Everyone: true}}
	return w.record(id, proven, d, targets)
}

func TestTargetsGoToTheProjectOfTheirApp(t *testing.T) {
	t.Parallel()
	w := newRetailer(t, nil)
	ref, _, _ := w.ofApps("m", true, 5, 7)
	w.deliver(ref)
	got := map[string]int{}
	for _, m := range w.phones.Messages(phones.Filter{Mailing: "m"}) {
		app, _, _ := strings.Cut(m.Token, "-")
		if m.Project != app+"-prod" {
			t.Errorf("token %s got its message through %s", m.Token, m.Project)
		}
		got[m.Project]++
	}
	check.Equal(t, got["pharmacy-prod"], 5, "number of messages of pharmacy-prod")
	check.Equal(t, got["shop-prod"], 7, "number of messages of shop-prod")
}

func TestAMessageToOneCustomerGoesToTheProjectOfTheApp(t *testing.T) {
	t.Parallel()
	h := newMessageHarness(t)
	useProjects(t, &h.deps, h.phones.URL())
	h.d = newDeliverer(h.deps)
	pharmacy := phoneWith("pharmacy-phone-token")
	pharmacy.App = "pharmacy"
	h.register("anna", phoneWith("shop-phone-token"), pharmacy)
	ref := h.accept(push.MessageDraft{Customer: "anna"})
	h.wantReply(h.receive(ref, 1), queue.Ack)
	got := map[string]string{}
	for _, m := range h.phones.Messages(phones.Filter{Mailing: ref.Message}) {
		got[m.Token] = m.Project
	}
	h.want("projects by token", got, map[string]string{"shop-phone-token": "shop-prod", "pharmacy-phone-token": "pharmacy-prod"})
}

// A wrong setting sends the pharmacy's messages to a project that its tokens do not
// belong to, or FCM answers nonsense there. The accepted tokens of the shop are no
// evidence about them: none is flagged, and the mailing pauses with the project in its
// detail.
func TestFaultOfOneProjectFlagsNobody(t *testing.T) {
	t.Parallel()
	for outcome, reason := range map[string]push.PauseReason{"SENDER_ID_MISMATCH": push.PausedWrongSender, "UNREGISTERED": push.PausedImplausible} {
		t.Run(outcome, func(t *testing.T) {
			t.Parallel()
			w := newRetailer(t, nil)
			w.rule("pharmacy-*", outcome)
			ref, pharmacy, shop := w.ofApps("m", true, 60, 600)
			w.deliver(ref)
			m, totals := w.totals("m")
			if totals.Accepted != 600 {
				t.Errorf("%d tokens of the shop are accepted, want 600", totals.Accepted)
			}
			if n := w.flagged(append(pharmacy, shop...)...); n != 0 {
				t.Errorf("%d tokens are flagged, want none", n)
			}
			check.Equal(t, m.State, push.Paused, "state")
			check.Equal(t, m.PausedReason, reason, "PausedReason")
			if !strings.HasPrefix(m.PausedDetail, "project pharmacy-prod: FCM calls 60 of 60 tokens invalid") {
				t.Errorf("the detail is %q, want the project and its counts", m.PausedDetail)
			}

			// The shop has an invalid token, and FCM accepts its control tokens.
			w.phones.SetOutcome("shop-other-token-0003", "UNREGISTERED")
			other, _, others := w.ofApps("other", true, 0, 10)
			w.deliver(other)
			if n := w.flagged(others...); n != 1 {
				t.Errorf("%d tokens of the shop are flagged in another mailing, want 1", n)
			}
		})
	}
}

// One of the two apps in a project does not belong there. That FCM accepts the tokens of
// the other one is no evidence that its tokens are foreign, or that its installation ids
// are gone.
func TestAWrongProjectOfOneAppFlagsNobody(t *testing.T) {
	t.Parallel()
	for kind, c := range map[push.Kind]struct {
		outcome string
		clinic  int
		state   push.State
		reason  push.PauseReason
	}{
		push.KindToken: {"SENDER_ID_MISMATCH", 60, push.Paused, push.PausedWrongSender},
		push.KindFID:   {"UNREGISTERED", 10, push.Sending, ""},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newRetailer(t, nil)
			w.rule("clinic-*", c.outcome)
			clinic := names("clinic-m", c.clinic)
			w.deliver(w.toTokens("m", true, kind, append(names("pharmacy-m", 60), clinic...)))
			m, totals := w.totals("m")
			if totals.Accepted != 60 {
				t.Errorf("%d tokens of the pharmacy are accepted, want 60", totals.Accepted)
			}
			if n := w.flagged(clinic...); n != 0 {
				t.Errorf("%d tokens of the clinic are flagged, want none", n)
			}
			check.Equal(t, m.State, c.state, "state")
			check.Equal(t, m.PausedReason, c.reason, "PausedReason")
		})
	}
}

// What FCM accepts in one project does not resume a mailing that was paused because of
// another one.
func TestAMailingResumesByTheProjectThatPausedIt(t *testing.T) {
	t.Parallel()
	w := newRetailer(t, nil)
	ref, _, _ := w.ofApps("m", true, 1, 1)
	if _, err := w.PauseMailingForProject(t.Context(), "m", "pharmacy-prod", push.PausedWrongSender, "what was found"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		found evidenceByProject
		want  push.State
	}{
		{evidenceByProject{"": {accepted: true}}, push.Paused},
		{evidenceByProject{"": {accepted: true}, "pharmacy-prod": {refused: true}}, push.Paused},
		{evidenceByProject{"": {refused: true}, "pharmacy-prod": {accepted: true}}, push.Sending},
	} {
		m, err := w.ReadMailingHeader(t.Context(), "m")
		if err != nil {
			t.Fatal(err)
		}
		b, err := w.ReadBatch(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		d := newDelivery(w.d, m, b, w.clock.Now().Add(time.Minute))
		if err := d.pauseOrResume(t.Context(), c.found); err != nil {
			t.Fatal(err)
		}
		if m, _ := w.totals("m"); m.State != c.want {
			t.Errorf("with %v the mailing is %s, want %s", c.found, m.State, c.want)
		}
	}
}

// Tokens that are held in one project say nothing about another one, whose own share is
// small.
func TestHeldTokensCountForTheirProject(t *testing.T) {
	t.Parallel()
	d := &delivery{results: results{projects: twoProjects, batch: &push.Batch{}}, deliverer: &deliverer{Deps: Deps{Projects: twoProjects}}}
	for i := range 200 {
		x, result := push.Target{App: "pharmacy"}, push.ResultWrongSender
		if i >= 100 {
			x.App, result = "shop", push.ResultAccepted
		}
		if i < 90 || i == 150 {
			d.batch.HeldFlags = append(d.batch.HeldFlags, i)
		}
		d.batch.Targets, d.batch.Results = append(d.batch.Targets, x), append(d.batch.Results, result)
	}
	d.batch.Results[150], d.batch.Results[199] = push.ResultUnregistered, push.ResultPending
	for project, want := range map[string]heldCounts{"pharmacy-prod": {100, 90, 90}, "": {99, 1, 0}} {
		got, err := d.countHeld(t.Context(), project)
		if err != nil {
			t.Fatalf("project %q: %v", project, err)
		}
		check.Equal(t, got, want, "project %q: sums", project)
	}
}

func TestCredentialsOfOneProjectAreNamed(t *testing.T) {
	t.Parallel()
	w := newRetailer(t, nil)
	w.rule("*", "PERMISSION_DENIED")
	ref, pharmacy, _ := w.ofApps("m", true, 3, 3)
	w.deliver(ref)
	m, _ := w.totals("m")
	check.Equal(t, m.State, push.Paused, "state")
	check.Equal(t, m.PausedReason, push.PausedCredentials, "PausedReason")
	check.Equal(t, m.PausedProject, "pharmacy-prod", "PausedProject")
	if !strings.HasPrefix(m.PausedDetail, "project pharmacy-prod: ") {
		t.Errorf("the detail is %q, want the project", m.PausedDetail)
	}
	if n := w.flagged(pharmacy...); n != 0 {
		t.Errorf("%d tokens are flagged, want none", n)
	}
}

// The breaker opens for the project that answers INVALID_ARGUMENT to too many tokens, and
// for no other one.
func TestEachProjectHasItsBreaker(t *testing.T) {
	t.Parallel()
	r := newResults(250)
	r.projects = twoProjects
	for i := range r.batch.Targets {
		a := answer{i, fcm.Answer{Class: fcm.Accepted}}
		if i < 100 {
			r.batch.Targets[i].App = "pharmacy"
		}
		if i < 60 || i == 100 {
			a.Answer = fcm.Answer{Class: fcm.Doubtful, Code: push.CodeInvalidArgument}
		}
		r.recordAnswer(a)
	}
	for project, want := range map[string]bool{"pharmacy-prod": true, "": false} {
		if got := r.breakerOpen(project); got != want {
			t.Errorf("the breaker of project %q is open: %v, want %v", project, got, want)
		}
	}
}

// That one project accepts a payload does not make an INVALID_ARGUMENT of another one the
// fault of a token.
func TestEachProjectIsItsOwnEvidence(t *testing.T) {
	t.Parallel()
	b := &push.Batch{Targets: []push.Target{{Customer: "a"}, {Customer: "b", App: "pharmacy"}, {Customer: "c"}, {Customer: "a", App: "pharmacy"}},
		Results: []push.Result{push.ResultAccepted, push.ResultPending, push.ResultPending, push.ResultPending}}
	d := &delivery{deliverer: &deliverer{Deps: Deps{Projects: twoProjects}}, results: results{batch: b, projects: twoProjects},
		mailing: &push.Mailing{Proven: true}, variants: payloadSet{&payload{}}}
	for target, want := range map[int]payloadEvidence{1: {}, 2: {proven: true, accepted: true}, 3: {}} {
		if got := d.evidenceOf(answer{target: target}, nil); got != want {
			t.Errorf("target %d: evidence %+v, want %+v", target, got, want)
		}
	}
	if x, y := d.payloadKeyOf(answer{target: 1}), d.payloadKeyOf(answer{target: 2}); x == y {
		t.Errorf("the payloads of two projects are proven as one, %v", x)
	}

	d.variants = payloadSet{&payload{template: &personal.Template{}}}
	for target, want := range map[int]payloadEvidence{0: {accepted: true}, 3: {}} {
		if got := d.evidenceOf(answer{target: target}, nil); got != want {
			t.Errorf("target %d of a payload for each customer: evidence %+v, want %+v", target, got, want)
		}
	}
}

// A payload that is not proven is proven in every project of the batch before the first
// message.
func TestAPayloadIsProvenInEachProject(t *testing.T) {
	t.Parallel()
	w := newRetailer(t, nil)
	w.rule("/topics/carillon-proof", "PAYLOAD_FIELD")
	onlyShop, _, _ := w.ofApps("shop", false, 0, 2)
	w.deliver(onlyShop)
	m, totals := w.totals("shop")
	check.Equal(t, m.Proven, true, "the mailing to the shop: Proven")
	check.Equal(t, totals.Accepted, 2, "the mailing to the shop: tokens accepted")
	both, _, _ := w.ofApps("both", false, 2, 2)
	w.deliver(both)
	m, _ = w.totals("both")
	check.Equal(t, m.State, push.Refused, "state")
	if !strings.HasPrefix(m.Refusal, "project pharmacy-prod: ") {
		t.Errorf("Refusal is %q, want it to begin with %q", m.Refusal, "project pharmacy-prod: ")
	}
	if n := len(w.messagesByToken("both")); n != 0 {
		t.Errorf("%d phones got a payload that is not proven in each project", n)
	}

	w.rule("/topics/carillon-proof", phones.OK)
	w.ruleOf("shop-prod", "/topics/carillon-proof", "PAYLOAD_FIELD")
	onlyPharmacy, _, _ := w.ofApps("pharmacy", false, 2, 0)
	w.deliver(onlyPharmacy)
	m, _ = w.totals("pharmacy")
	check.Equal(t, m.Proven, false, "the mailing to the pharmacy: Proven")
	if !strings.HasPrefix(m.Refusal, "project shop-prod: ") {
		t.Errorf("the mailing to the pharmacy: Refusal is %q, want it to begin with %q", m.Refusal, "project shop-prod: ")
	}
}
