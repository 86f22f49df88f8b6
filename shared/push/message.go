package push

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"time"
)

// Limits of a message to one customer.
const (
	MaxValues              = 50        // values of one message
	MaxValue               = 2048      // bytes of a text among them; FCM takes 4,096 of a whole message
	DefaultMessageLifetime = time.Hour //
	MaxMessages            = 500       // messages in one request
)

// A MessageDraft is the request from which a message to one customer is made.
type MessageDraft struct {
	Customer string          `json:"customer,omitempty" doc:"the customer's id; exactly one of customer, token and fid"`
	Token    string          `json:"token,omitempty" doc:"a registered push token: the message goes to this one only"`
	FID      string          `json:"fid,omitempty" doc:"a registered Firebase installation id: the message goes to this one only"`
	Message  json.RawMessage `json:"message" doc:"FCM v1's message object without a target. It is stored as you send it, and FCM decides whether it is valid"`
	Link     string          `json:"link,omitempty" doc:"the address that a tap opens; it is sent as data.link"`
	Values   map[string]any  `json:"values,omitempty" doc:"texts, numbers, true and false that templates name, as in {{ values.points }}; at most 50"`
	Devices  DeviceSelection `json:"devices,omitempty" enum:"all,latest" doc:"which of the customer's tokens get the message; absent: as the settings say"`
	Category string          `json:"category,omitempty" doc:"a customer who is unsubscribed from it is left out"`
	Only     *Only           `json:"only,omitempty"`
	Lifetime *Duration       `json:"lifetime,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" patternDescription:"a duration like 90s or 48h" doc:"how long the message is sent; tokens that it is not sent to by then expire; absent: 1h"`
}

// Only restricts the tokens that a mailing or a message goes to. An empty list
// restricts nothing.
type Only struct {
	Platforms []Platform `json:"platforms,omitempty" enum:"android,ios,web" maxItems:"3" doc:"only tokens of these platforms; absent: of all platforms"`
	Apps      []string   `json:"apps,omitempty" maxItems:"30" doc:"only tokens of these apps; absent: of all apps"`
}

// MaxApps is how many apps an Only names at most.
const MaxApps = 30

// AllowsToken reports whether a message may go to the token. A nil Only allows every token.
func (o *Only) AllowsToken(t Token) bool {
	return o == nil ||
		(len(o.Platforms) == 0 || slices.Contains(o.Platforms, t.Platform)) &&
			(len(o.Apps) == 0 || slices.Contains(o.Apps, t.App))
}

// TokenOrFID returns the token or the installation id that the message is addressed to,
// "" if it is addressed to a customer.
func (d *MessageDraft) TokenOrFID() string {
	if d.Token != "" {
		return d.Token
	}
	return d.FID
}

// Check returns every fault of the draft.
func (d *MessageDraft) Check() Faults {
	var f Faults
	d.checkRecipient(&f)
	checkMessage(&f, d.Message)
	checkLink(&f, d.Link)
	d.checkValues(&f)

	if d.Devices != "" && d.Devices != AllDevices && d.Devices != LatestDevice {
		f.add("body.devices", `must be "all" or "latest"`)
	}
	if d.Category != "" {
		checkName(&f, "body.category", d.Category)
	}
	if d.Only != nil {
		d.Only.checkFilter(&f)
	}
	if l := d.Lifetime; l != nil && (time.Duration(*l) < time.Second || time.Duration(*l) > MaxLifetime) {
		f.add("body.lifetime", "must be between 1s and 672h")
	}
	return f
}

// checkRecipient adds the faults of customer, token and fid, of which exactly one must be set.
func (d *MessageDraft) checkRecipient(f *Faults) {
	set := 0
	for _, to := range []struct {
		at, value string
		check     func(string) string
	}{{"body.customer", d.Customer, CheckCustomerID}, {"body.token", d.Token, CheckToken}, {"body.fid", d.FID, CheckToken}} {
		if to.value == "" {
			continue
		}
		set++
		if why := to.check(to.value); why != "" {
			f.add(to.at, "%s", why)
		}
	}
	if set != 1 {
		f.add("body.customer", "needs exactly one of customer, token and fid; %d are set", set)
	}
}

// checkValues adds the faults of the values for templates.
func (d *MessageDraft) checkValues(f *Faults) {
	if len(d.Values) > MaxValues {
		f.add("body.values", "has %d values; at most %d are allowed", len(d.Values), MaxValues)
		return
	}
	for name, v := range d.Values {
		at := "body.values." + Truncate(name, 60)
		if why := CheckName(name); why != "" {
			f.add(at, "its name %s", why)
		}
		switch v := v.(type) {
		case float64, bool, json.Number:
		case string:
			if len(v) > MaxValue {
				f.add(at, "is %d bytes long; at most %d are allowed", len(v), MaxValue)
			}
		default:
			f.add(at, "must be a text, a number, true or false")
		}
	}
}

// checkFilter adds the faults of a filter of tokens.
func (o *Only) checkFilter(f *Faults) {
	for i, p := range o.Platforms {
		if p != Android && p != IOS && p != Web {
			f.add(fmt.Sprintf("body.only.platforms[%d]", i), "must be android, ios or web")
		}
	}
	if len(o.Apps) > MaxApps {
		f.add("body.only.apps", "has %d apps; at most %d are allowed", len(o.Apps), MaxApps)
		return
	}
	for i, app := range o.Apps {
		checkName(f, fmt.Sprintf("body.only.apps[%d]", i), app)
	}
}

// A MessageRef names a message, and the customer it is for if that is known. It is
// the content of the Pub/Sub messages of the messages lane.
type MessageRef struct {
	Message  string `json:"message"`
	Customer string `json:"customer,omitempty"` // the customer's id, so that both documents are read in one round trip
}

// A Message is a stored message to one customer.
type Message struct {
	ID string
	MessageDraft
	Title     string // TitleOf the message
	Digest    string // of the request's body: the same Idempotency-Key with another body is refused
	CreatedBy Caller

	State       State // Accepted, then Completed, Refused or Expired
	Excluded    Exclusion
	Refusal     string // with Refused: why
	CreatedAt   time.Time
	CompletedAt time.Time // when no token was pending any more
	ExpiresAt   time.Time // nothing is sent from then on
	PublishedAt time.Time // when tick published it again; zero: never

	Touched    bool        // whether a call has stored anything about it since it was accepted
	Picked     bool        // whether Batch has the targets
	Batch      Batch       // the targets, and what became of them
	Recipients []Recipient // once Batch is settled, instead of its targets
}

// MessageID returns the id of the message of an Idempotency-Key, as MailingID does for
// mailings. A mailing and a message never have the same id.
func MessageID(caller Caller, key string) string {
	return "s" + TokenID("message\x00"+string(caller)+"\x00"+key)
}

// NewMessage makes a message from a checked draft that is received at now.
func NewMessage(id, digest string, d MessageDraft, now time.Time) *Message {
	life := DefaultMessageLifetime
	if d.Lifetime != nil {
		life = time.Duration(*d.Lifetime)
	}
	return &Message{
		ID: id, MessageDraft: d, Title: TitleOf(d.Message), Digest: digest, State: Accepted, CreatedAt: now, ExpiresAt: now.Add(life),
		Batch: Batch{BatchRef: BatchRef{Mailing: id, Batch: singleBatch}},
	}
}

// singleBatch is the name of the only batch of a message.
const singleBatch = "message"

// PublishedRef returns the content of the Pub/Sub message that is published for the message.
func (m *Message) PublishedRef() MessageRef { return MessageRef{Message: m.ID, Customer: m.Customer} }

// PickTargets chooses the targets of the message among the tokens of the customer, who is
// nil if there is none. It uses the rules of mailings. attributes are the names of
// those that the templates use. If the customer is left out, Excluded says why.
func (m *Message) PickTargets(c *Customer, set Settings, attributes []string, now time.Time) {
	m.Picked, m.Batch.CreatedAt = true, now
	tokens, why := m.tokensOf(c, set)
	if why != NotExcluded {
		m.Excluded = why
		return
	}
	m.Batch.Targets = c.MakeTargets(tokens, attributes, now)
	m.Batch.Results = make([]Result, len(m.Batch.Targets))
}

// NeedsSettings reports whether the settings decide which tokens of the customer the
// message goes to.
func (m *Message) NeedsSettings(c *Customer) bool {
	return c != nil && (m.TokenOrFID() == "" && m.Devices == "" || c.HasAllMuted())
}

// tokensOf returns the tokens of the customer that the message goes to.
func (m *Message) tokensOf(c *Customer, set Settings) ([]Token, Exclusion) {
	by := Targeting{Mailing: m.ID, Category: m.Category, Devices: cmp.Or(m.Devices, set.Devices), Muted: set.Muted, Only: m.Only}
	if address := m.TokenOrFID(); address != "" {
		return by.SelectTokens(c, []string{TokenID(address)})
	}
	return by.SelectTokens(c, nil)
}

// UpdateState gives the message its state, by the results of its targets. It stays
// accepted while one of them is pending.
func (m *Message) UpdateState(now time.Time) {
	if !m.Picked || len(m.Batch.PendingTargets()) > 0 {
		return
	}
	if m.CompletedAt.IsZero() {
		m.CompletedAt = now
	}

	expired := len(m.Batch.Results) > 0
	for _, r := range m.Batch.Results {
		expired = expired && r == ResultExpired
	}

	switch {
	case m.Refusal != "":
		m.State = Refused
	case expired:
		m.State = Expired
	default:
		m.State = Completed
	}
}

// AsMailing returns the mailing as which deliver sends the message: its batch is the
// whole mailing.
func (m *Message) AsMailing() *Mailing {
	return &Mailing{
		ID: m.ID, Single: true, Values: m.Values,
		Draft: Draft{Message: m.Message, Link: m.Link, Category: m.Category}, Title: m.Title, CreatedBy: m.CreatedBy,
		State: Sending, CreatedAt: m.CreatedAt, StartAt: m.CreatedAt, StartedAt: m.CreatedAt, ExpiresAt: m.ExpiresAt,
	}
}

// MessageShards is over how many ranges of their index the times of messages that
// wait are spread, so that no range takes every write.
const MessageShards = 16

// MessageShard returns the range of a message.
func MessageShard(id string) int {
	h := fnv.New32a()
	h.Write([]byte(id))
	return int(h.Sum32() % MessageShards)
}
