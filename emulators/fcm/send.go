package fcm

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A sendCall is one request to messages:send.
type sendCall struct {
	server  *Server
	policy  *policy
	project string
	number  uint64
	message *decoded

	record   RequestRecord // what the function of OnRequest gets at the end
	answered bool          // the answer that the message is accepted was written
}

// handleSend answers POST /v1/projects/{project}/messages:send.
func (s *Server) handleSend(w http.ResponseWriter, r *http.Request, project string) {
	c := &sendCall{server: s, policy: s.policy.Load(), project: project, number: s.counts.countRequest()}
	defer c.reportRequest(r)
	retireConnection(w, r, c.policy.GoAwayAfter)
	if c.policy.RequireAuth && !hasBearer(r) {
		c.sendError(w, r, answers["UNAUTHENTICATED"], Outcome{})
		return
	}

	body, err := readBody(r)
	if err != nil {
		c.refuseUnreadable(w, r, err)
		return
	}
	if c.policy.QuotaPerMinute > 0 {
		if wait, ok := s.quotas.countSend(project, c.policy.QuotaShape, c.policy.QuotaPerMinute, time.Now()); !ok {
			s.counts.update(func(st *Stats) { st.OverQuota++ })
			c.sendError(w, r, &answer{outcome: "QUOTA_PROJECT", code: 429, body: quotaBody(project, c.policy.QuotaPerMinute)}, Outcome{RetryAfter: wait})
			return
		}
	}

	c.message, err = decodeRequest(body)
	if err != nil {
		c.message = nil
		c.sendError(w, r, notJSON(body, err), Outcome{})
		return
	}

	c.decideOutcome(w, r)
}

func hasBearer(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer") && strings.TrimSpace(token) != ""
}

// refuseUnreadable answers a body that is too large, and breaks the connection of a body
// that did not arrive completely.
func (c *sendCall) refuseUnreadable(w http.ResponseWriter, r *http.Request, err error) {
	var large *http.MaxBytesError
	if !errors.As(err, &large) {
		c.server.counts.countOutcome("UNREADABLE", 0)
		panic(http.ErrAbortHandler)
	}
	text := "Request payload size exceeds the limit: " + strconv.Itoa(maxBody) + " bytes."
	c.sendError(w, r, &answer{outcome: "REQUEST_TOO_LARGE", code: 400, body: faultBody(400, badArgument, text)}, Outcome{})
}

// chosenOutcome returns the outcome that the settings force, or else that of a rule; false means
// that there is none.
func (c *sendCall) chosenOutcome(bad *answer) (o Outcome, ok bool) {
	if name := c.forcedOutcome(bad); name != "" {
		return Outcome{Outcome: name}, true
	}
	m := c.message
	return c.server.rules.applyLatest(m.address(), func(r *rule) bool {
		fits := true
		switch {
		case r.Project != "" && r.Project != c.project:
			fits = false
		case aboutToken[r.Outcome.Outcome]:
			fits = bad == nil && (m.toDevice() || !r.pattern || strings.HasPrefix(r.Token, "/topics/"))
		case r.Outcome.Outcome == OK, r.Outcome.Outcome == SLOW:
			fits = bad == nil
		}
		return fits && c.policy.ruleApplies(r, m.address(), c.number)
	})
}

// decideOutcome finds the outcome and answers. The first of these decides: a
// forced outcome, a rule, chaos, the validation. An outcome about a token needs a message
// without another fault.
func (c *sendCall) decideOutcome(w http.ResponseWriter, r *http.Request) {
	m := c.message
	bad := m.validate(c.policy.TopicLimit)
	o, ruled := c.chosenOutcome(bad)
	if !ruled {
		o.Outcome = c.chaosOutcome(bad)
	}
	if bad == nil && !ruled && o.Outcome == "" {
		bad = m.validateToken()
	}

	switch {
	case o.Outcome == HANG:
		c.hangUntilGone(r, HANG)
	case o.Outcome == RESET:
		c.countOutcome(RESET, 0)
		resetStream(w, r)
	case silently[o.Outcome] && bad == nil:
		c.deliverSilently(w, r, o)
	case answers[o.Outcome] != nil:
		c.sendError(w, r, answers[o.Outcome].forTarget(m.target), o)
	case bad != nil:
		c.sendError(w, r, bad, Outcome{})
	default:
		c.accept(w, r, o)
	}
}

// deliverSilently stores the message as delivered, and sends an error or no answer.
func (c *sendCall) deliverSilently(w http.ResponseWriter, r *http.Request, o Outcome) {
	if !c.message.validateOnly {
		c.storeMessage()
	}
	switch o.Outcome {
	case HangDelivered:
		c.hangUntilGone(r, HangDelivered)
	case ResetDelivered:
		c.countOutcome(ResetDelivered, 0)
		resetStream(w, r)
	default:
		c.sendError(w, r, answers["UNAVAILABLE"].countedAs(UnavailableDelivered), o)
	}
}

// chaosOutcome returns the outcome that chaos has for the message, "" for none.
func (c *sendCall) chaosOutcome(bad *answer) string {
	device := ""
	if bad == nil && c.message.toDevice() {
		device = c.message.address()
	}
	o := c.policy.drawChaos(device, c.number)
	if bad != nil && o == SLOW {
		return ""
	}
	return o
}

// countedAs returns the answer with another name for the counts.
func (a *answer) countedAs(name string) *answer {
	b := *a
	b.outcome = name
	return &b
}

// countOutcome counts a request whose message was not accepted. status is that of the
// answer; 0 means that there is no answer.
func (c *sendCall) countOutcome(outcome string, status int) {
	c.record.Outcome = outcome
	c.server.counts.countOutcome(outcome, status)
	c.publishRefused(outcome)
}

func (c *sendCall) publishRefused(outcome string) {
	if c.server.readers.count.Load() > 0 {
		c.server.publishEvent(EventRefused, outcome, c.newStoredMessage(""))
	}
}

// sendError counts an error answer, and sends it after the latency.
func (c *sendCall) sendError(w http.ResponseWriter, r *http.Request, a *answer, o Outcome) {
	c.countOutcome(a.outcome, a.code)
	if c.waitLatency(r, o) {
		a.writeTo(w, o.RetryAfter)
	}
}

// accept stores the message, unless it was only to be validated, and answers after the
// latency. If the client disconnects during the latency, the message is stored all the same.
func (c *sendCall) accept(w http.ResponseWriter, r *http.Request, o Outcome) {
	name := o.Outcome
	if name == "" {
		name = OK
	}

	c.record.Outcome, c.record.Validated = name, c.message.validateOnly
	id := "fake_message_id" // the id in the answer of FCM to validate_only with a token
	if c.message.validateOnly {
		if !c.message.toDevice() {
			id = c.server.messageID(c.number, false)
		}
		c.server.counts.countAccepted(name, true)
		if c.server.readers.count.Load() > 0 {
			c.server.publishEvent(EventValidated, name, c.newStoredMessage("projects/"+c.project+"/messages/"+id))
		}
	} else {
		id = c.storeMessage()
		c.server.counts.countAccepted(name, false)
	}
	if c.waitLatency(r, o) {
		c.writeName(w, id)
		c.answered = true
	}
}

// storeMessage stores the message as delivered and returns its id.
func (c *sendCall) storeMessage() string {
	s, m := c.server, c.message
	k := c.newStoredMessage("")
	c.record.At, c.record.Delivered = k.at, true
	id := s.messageID(c.number, m.toDevice())
	k.id = "projects/" + c.project + "/messages/" + id
	if m.mailing != "" && m.toDevice() && !c.policy.IgnoreDuplicates {
		s.counts.noteDuplicate(m.mailing, k.address)
	}
	if m.toDevice() {
		k.hidden = s.phones.describeToken(k.address).Notifications == notificationsOff
		if c.policy.ExclusiveInstallations {
			s.installations.registerIfUnknown(m.installation())
		}
	}

	s.memory.add(k)
	s.publishEvent(EventAccepted, OK, k)
	return id
}

// newStoredMessage returns the message in the form of the memory and of events.
func (c *sendCall) newStoredMessage(id string) *storedMessage {
	k := &storedMessage{at: time.Now(), project: c.project, id: id}
	if m := c.message; m != nil {
		k.target, k.address, k.mailing, k.customer, k.raw = m.target, m.address(), m.mailing, m.customer, m.raw
	}
	return k
}

// messageID returns an id in the form of FCM: a number for a topic, otherwise
// 0:time%hex.
func (s *Server) messageID(number uint64, device bool) string {
	x := mixBits(s.ids + number)
	if !device {
		return strconv.FormatUint(x>>1|1<<60, 10)
	}
	b := append(make([]byte, 0, 40), "0:"...)
	b = append(strconv.AppendInt(b, time.Now().UnixMicro(), 10), '%')
	return string(strconv.AppendUint(b, x|1<<63, 16))
}

// writeName answers with the name of the message.
func (c *sendCall) writeName(w http.ResponseWriter, id string) {
	b := append(make([]byte, 0, 128), "{\n  \"name\": "...)
	b = strconv.AppendQuote(b, "projects/"+c.project+"/messages/"+id)
	w.Header()["Content-Type"] = typeJSON
	_, _ = w.Write(append(b, "\n}\n"...)) // the client may have disconnected
}

// waitLatency waits for the latency. It returns false if the client disconnects or the
// server closes before its end.
func (c *sendCall) waitLatency(r *http.Request, o Outcome) bool {
	d := c.policy.latencyAt(c.number, time.Now()) + o.Latency
	if o.Outcome == SLOW && o.Latency == 0 {
		d += c.policy.Slow
	}
	if d == 0 {
		return true
	}

	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
		c.server.counts.update(func(s *Stats) { s.Abandoned++ })
	case <-c.server.life.Done():
	}

	return false
}

// hangUntilGone sends no answer until the client disconnects or the server closes. It
// panics with http.ErrAbortHandler.
func (c *sendCall) hangUntilGone(r *http.Request, outcome string) {
	c.countOutcome(outcome, 0)
	select {
	case <-r.Context().Done():
		c.server.counts.update(func(s *Stats) { s.Abandoned++ })
	case <-c.server.life.Done():
	}
	panic(http.ErrAbortHandler)
}
