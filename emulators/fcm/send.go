package fcm

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// sendCall is one request to messages:send on its way.
type sendCall struct {
	server  *Server
	policy  *policy
	project string
	number  uint64
	message *decoded

	seen Sighting // what a witness is told at the end
	told bool     // the sender was told that the message was taken
}

// send answers POST /v1/projects/{project}/messages:send.
func (s *Server) send(w http.ResponseWriter, r *http.Request, project string) {
	c := &sendCall{server: s, policy: s.policy.Load(), project: project, number: s.counts.arrived()}
	defer c.testify(r)
	retire(w, r, c.policy.GoAwayAfter)
	if c.policy.RequireAuth && !hasBearer(r) {
		c.refuse(w, r, answers["UNAUTHENTICATED"], Outcome{})
		return
	}

	body, err := readBody(r)
	if err != nil {
		c.unread(w, r, err)
		return
	}
	if c.policy.QuotaPerMinute > 0 {
		if wait, ok := s.quotas.take(project, c.policy.QuotaShape, c.policy.QuotaPerMinute, time.Now()); !ok {
			s.counts.change(func(st *Stats) { st.OverQuota++ })
			c.refuse(w, r, &answer{name: "QUOTA_PROJECT", code: 429, body: quotaBody(project, c.policy.QuotaPerMinute)}, Outcome{RetryAfter: wait})
			return
		}
	}

	c.message, err = decode(body)
	if err != nil {
		c.message = nil
		c.refuse(w, r, notJSON(body, err), Outcome{})
		return
	}

	c.decide(w, r)
}

func hasBearer(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer") && strings.TrimSpace(token) != ""
}

// unread answers a body that is too large or did not come to its end.
func (c *sendCall) unread(w http.ResponseWriter, r *http.Request, err error) {
	var large *http.MaxBytesError
	if !errors.As(err, &large) {
		c.server.counts.decided("UNREADABLE", 0)
		panic(http.ErrAbortHandler)
	}
	text := "Request payload size exceeds the limit: " + strconv.Itoa(maxBody) + " bytes."
	c.refuse(w, r, &answer{name: "REQUEST_TOO_LARGE", code: 400, body: faultBody(400, badArgument, text)}, Outcome{})
}

// chosen is the outcome of a circumstance or a rule, in this order; false: there
// is none.
func (c *sendCall) chosen(bad *answer) (o Outcome, ok bool) {
	if name := c.circumstance(bad); name != "" {
		return Outcome{Outcome: name}, true
	}
	m := c.message
	return c.server.rules.take(m.address(), func(r *rule) bool {
		fits := true
		switch {
		case r.Project != "" && r.Project != c.project:
			fits = false
		case aboutToken[r.Outcome.Outcome]:
			fits = bad == nil && (m.toDevice() || !r.pattern || strings.HasPrefix(r.Token, "/topics/"))
		case r.Outcome.Outcome == OK, r.Outcome.Outcome == SLOW:
			fits = bad == nil
		}
		return fits && c.policy.hits(r, m.address(), c.number)
	})
}

// decide finds the outcome: of a circumstance, a rule, chaos, judging, in this
// order, where what speaks of a token needs a message FCM has nothing else
// against.
func (c *sendCall) decide(w http.ResponseWriter, r *http.Request) {
	m := c.message
	bad := m.judge(c.policy.TopicLimit)
	o, ruled := c.chosen(bad)
	if !ruled {
		o.Outcome = c.drawn(bad)
	}
	if bad == nil && !ruled && o.Outcome == "" {
		bad = m.judgeToken()
	}

	switch {
	case o.Outcome == HANG:
		c.hang(r, HANG)
	case o.Outcome == RESET:
		c.count(RESET, 0)
		reset(w, r)
	case silently[o.Outcome] && bad == nil:
		c.deliverSilently(w, r, o)
	case answers[o.Outcome] != nil:
		c.refuse(w, r, answers[o.Outcome].to(m.target), o)
	case bad != nil:
		c.refuse(w, r, bad, Outcome{})
	default:
		c.accept(w, r, o)
	}
}

// deliverSilently takes the message and does not say so.
func (c *sendCall) deliverSilently(w http.ResponseWriter, r *http.Request, o Outcome) {
	if !c.message.validateOnly {
		c.keep()
	}
	switch o.Outcome {
	case HangDelivered:
		c.hang(r, HangDelivered)
	case ResetDelivered:
		c.count(ResetDelivered, 0)
		reset(w, r)
	default:
		c.refuse(w, r, answers["UNAVAILABLE"].as(UnavailableDelivered), o)
	}
}

// drawn is the outcome that chaos has for the message, "" for none.
func (c *sendCall) drawn(bad *answer) string {
	device := ""
	if bad == nil && c.message.toDevice() {
		device = c.message.address()
	}
	o := c.policy.draw(device, c.number)
	if bad != nil && o == SLOW {
		return ""
	}
	return o
}

// as is the answer counted under another name.
func (a *answer) as(name string) *answer {
	b := *a
	b.name = name
	return &b
}

// count counts an outcome that is no acceptance; status is that of the answer,
// 0: there is none.
func (c *sendCall) count(outcome string, status int) {
	c.seen.Outcome = outcome
	c.server.counts.decided(outcome, status)
	c.tellRefused(outcome)
}

func (c *sendCall) tellRefused(outcome string) {
	if c.server.readers.some.Load() > 0 {
		c.server.tell(EventRefused, outcome, c.remembered(""))
	}
}

// refuse counts and sends an error answer after the latency.
func (c *sendCall) refuse(w http.ResponseWriter, r *http.Request, a *answer, o Outcome) {
	c.count(a.name, a.code)
	if c.wait(r, o) {
		a.write(w, o.RetryAfter)
	}
}

// accept stores the message, unless it was only to be validated, and answers after the
// latency. If the client disconnects during the latency, the message is stored all the same.
func (c *sendCall) accept(w http.ResponseWriter, r *http.Request, o Outcome) {
	name := o.Outcome
	if name == "" {
		name = OK
	}

	c.seen.Outcome, c.seen.Validated = name, c.message.validateOnly
	id := "fake_message_id" // FCM's own answer to validate_only
	if c.message.validateOnly {
		c.server.counts.accepted(name, true)
		if c.server.readers.some.Load() > 0 {
			c.server.tell(EventValidated, name, c.remembered("projects/"+c.project+"/messages/"+id))
		}
	} else {
		id = c.keep()
		c.server.counts.accepted(name, false)
	}
	if c.wait(r, o) {
		c.write(w, id)
		c.told = true
	}
}

// keep stores the message as delivered and returns its id.
func (c *sendCall) keep() string {
	s, m := c.server, c.message
	k := c.remembered("")
	c.seen.At, c.seen.Delivered = k.at, true
	id := s.messageID(c.number, m.toDevice())
	k.id = "projects/" + c.project + "/messages/" + id
	if m.mailing != "" && m.toDevice() && !c.policy.IgnoreDuplicates {
		s.counts.note(m.mailing, k.address)
	}
	if m.toDevice() {
		k.hidden = s.phones.of(k.address).Notifications == notificationsOff
		if c.policy.ExclusiveInstallations {
			s.installations.use(m.installation())
		}
	}

	s.memory.add(k)
	s.tell(EventAccepted, OK, k)
	return id
}

// remembered is the message as memory and events hold it.
func (c *sendCall) remembered(id string) *kept {
	k := &kept{at: time.Now(), project: c.project, id: id}
	if m := c.message; m != nil {
		k.target, k.address, k.mailing, k.customer, k.raw = m.target, m.address(), m.mailing, m.customer, m.raw
	}
	return k
}

// messageID makes an id in FCM's shape: a number for topics, else 0:time%hex.
func (s *Server) messageID(number uint64, device bool) string {
	x := mix(s.ids + number)
	if !device {
		return strconv.FormatUint(x>>1|1<<60, 10)
	}
	b := append(make([]byte, 0, 40), "0:"...)
	b = append(strconv.AppendInt(b, time.Now().UnixMicro(), 10), '%')
	return string(strconv.AppendUint(b, x|1<<63, 16))
}

func (c *sendCall) write(w http.ResponseWriter, id string) {
	b := append(make([]byte, 0, 128), "{\n  \"name\": "...)
	b = strconv.AppendQuote(b, "projects/"+c.project+"/messages/"+id)
	w.Header()["Content-Type"] = typeJSON
	_, _ = w.Write(append(b, "\n}\n"...)) // the client may be gone
}

// wait lets the latency pass; false if the client left before its end.
func (c *sendCall) wait(r *http.Request, o Outcome) bool {
	d := c.policy.delay(c.number, time.Now()) + o.Latency
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
		c.server.counts.change(func(s *Stats) { s.Abandoned++ })
	case <-c.server.life.Done():
	}

	return false
}

// hang answers nothing until the client gives up or the server closes.
func (c *sendCall) hang(r *http.Request, outcome string) {
	c.count(outcome, 0)
	select {
	case <-r.Context().Done():
		c.server.counts.change(func(s *Stats) { s.Abandoned++ })
	case <-c.server.life.Done():
	}
	panic(http.ErrAbortHandler)
}
