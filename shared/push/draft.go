package push

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Limits of a draft. MaxListed is also in the doc tags of Audience, schemas.go of mailings,
// compose.js and docs/api.md. api.MaxBody and console.MaxBody must have room for so many
// entries, and they must fit into a document of Firestore (ownersDoc of store: 660 KB of 1 MiB).
const (
	MaxListed       = 10_000               // customers or tokens named in one request
	MaxSegments     = 30                   // values of array-contains-any (Firestore)
	MaxName         = 100                  // bytes of a segment's, category's or mailing's name
	MaxMessage      = 64 << 10             // bytes of the message object; FCM itself takes 4,096 of payload
	MaxLink         = 2048                 // bytes
	MaxTags         = 10                   // of one mailing
	MaxTag          = 50                   // bytes of a mailing's tag
	DefaultLifetime = 24 * time.Hour       //
	MaxLifetime     = 28 * 24 * time.Hour  // FCM's own limit of a TTL
	MaxControlGroup = 0.5                  // share of the audience
	MaxAhead        = 366 * 24 * time.Hour // how far ahead sendAt may lie
	MinRate         = 600                  // messages a minute
	MaxRate         = 100_000_000          // messages a minute
)

// A Draft is the request from which a mailing is made.
type Draft struct {
	Name          string          `json:"name,omitempty" doc:"what people call the mailing, at most 100 bytes; shown in lists and events, never on a phone"`
	Tags          []string        `json:"tags,omitempty" doc:"at most 10 of 50 bytes; GET /v1/mailings?tag= lists by them"`
	Message       json.RawMessage `json:"message,omitempty" doc:"FCM v1's message object without a target. It is stored as you send it, and FCM decides whether it is valid. Required unless there are variants"`
	Link          string          `json:"link,omitempty" doc:"the address that a tap opens; it is sent as data.link"`
	Variants      []Variant       `json:"variants,omitempty" doc:"2 to 5 messages in place of message and link, of which each customer gets one; a hash of mailing and customer decides"`
	Audience      Audience        `json:"audience" doc:"who gets the mailing: exactly one of its fields is set"`
	Only          *Only           `json:"only,omitempty" doc:"only tokens of these platforms and apps get the mailing. A customer without such a token is counted in excluded.filtered"`
	ControlGroup  float64         `json:"controlGroup,omitempty" minimum:"0" maximum:"0.5" doc:"this share of the customers gets nothing and is counted in excluded.control. A hash of mailing and customer decides who"`
	MaxCustomers  *int            `json:"maxCustomers,omitempty" doc:"a mailing whose audience is estimated to be larger is paused as audience_too_large before anything is sent"`
	Devices       DeviceSelection `json:"devices,omitempty" enum:"all,latest" doc:"which of a customer's tokens get the mailing; absent: as the settings say"`
	Category      string          `json:"category,omitempty" doc:"customers who are unsubscribed from this category are left out"`
	SendAt        *time.Time      `json:"sendAt,omitempty" pattern:"^[^,]*$" patternDescription:"a time as RFC 3339 writes it, with a point in front of parts of a second" doc:"when the mailing starts; absent: now"`
	Lifetime      *Duration       `json:"lifetime,omitempty" pattern:"^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" patternDescription:"a duration like 90s or 48h" doc:"how long after its start the mailing is sent; tokens that it is not sent to by then expire"`
	RatePerMinute *int            `json:"ratePerMinute,omitempty" doc:"messages a minute, at least 600; absent: as fast as the quota allows"`
	Window        *Window         `json:"window,omitempty" doc:"hours of each customer's own time zone in which the mailing is sent; absent: those of the settings. Tokens of customers whose hours do not begin before the lifetime ends are counted in tokens.expired"`
	Immediately   bool            `json:"immediately,omitempty" doc:"true: the mailing is sent at any hour, whatever the settings say"`
	DryRun        bool            `json:"dryRun,omitempty" doc:"true: everything is done as for a mailing, but FCM only checks the messages (validate_only), and no phone gets one"`
}

// An Audience says who gets a mailing. Exactly one of its fields is set.
type Audience struct {
	Everyone  bool      `json:"everyone,omitempty"`
	Customers []string  `json:"customers,omitempty" doc:"customer ids, at most 10,000"`
	Segments  *Segments `json:"segments,omitempty"`
	Tokens    []string  `json:"tokens,omitempty" doc:"registered push tokens, at most 10,000"`
}

// onlyRecipient returns the hash of the only customer or token of an audience, "" if it
// has more.
func (a *Audience) onlyRecipient() string {
	switch {
	case len(a.Customers) == 1:
		return CustomerKey(a.Customers[0])
	case len(a.Tokens) == 1:
		return TokenID(a.Tokens[0])
	}
	return ""
}

// Segments selects customers by the segments they are in.
type Segments struct {
	Any  []string `json:"any,omitempty" doc:"customers who are in at least one of these segments"`
	All  []string `json:"all,omitempty" doc:"customers who are in every one of these segments"`
	None []string `json:"none,omitempty" doc:"customers who are in none of these segments"`
}

// OneCondition reports whether customers are selected by one condition alone: any of
// some segments, or one segment.
func (s *Segments) OneCondition() bool {
	return len(s.None) == 0 && (len(s.All) == 0 || len(s.All) == 1 && len(s.Any) == 0)
}

// MatchCustomer reports whether a customer in these segments belongs to the audience.
func (s *Segments) MatchCustomer(in []string) bool {
	has := func(x string) bool { return slices.Contains(in, x) }
	return (len(s.Any) == 0 || slices.ContainsFunc(s.Any, has)) &&
		!slices.ContainsFunc(s.All, func(x string) bool { return !has(x) }) &&
		!slices.ContainsFunc(s.None, has)
}

// Duration is a time.Duration written as in "90s" or "48h".
type Duration time.Duration

// MarshalText writes d as Go does, without zero parts at the end.
func (d Duration) MarshalText() ([]byte, error) {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return []byte(s), nil
}

// errDuration does not repeat the input.
var errDuration = errors.New("it must be a duration like 90s or 48h")

// UnmarshalText reads a duration in the form of time.ParseDuration. The error does not
// repeat the input.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return errDuration
	}
	*d = Duration(v)
	return nil
}

// Check returns every fault of a draft that is received at now.
func (d *Draft) Check(now time.Time) Faults {
	var f Faults
	if d.Name != "" {
		checkName(&f, "body.name", d.Name)
	}

	checkTags(&f, d.Tags)
	d.checkPayloads(&f)
	d.Audience.checkAudience(&f)
	if d.Only != nil {
		d.Only.checkFilter(&f)
	}
	if !(d.ControlGroup >= 0 && d.ControlGroup <= MaxControlGroup) {
		f.add("body.controlGroup", "must be between 0 and %g", MaxControlGroup)
	}
	if n := d.MaxCustomers; n != nil && *n < 1 {
		f.add("body.maxCustomers", "must be at least 1")
	}
	if d.Devices != "" && d.Devices != AllDevices && d.Devices != LatestDevice {
		f.add("body.devices", `must be "all" or "latest"`)
	}
	if d.Category != "" {
		checkName(&f, "body.category", d.Category)
	}
	if d.SendAt != nil && d.SendAt.Before(now.Add(-time.Minute)) {
		f.add("body.sendAt", "is in the past")
	}
	if d.SendAt != nil && d.SendAt.After(now.Add(MaxAhead)) {
		f.add("body.sendAt", "is more than 366 days ahead")
	}
	if d.SendAt != nil && !hasOffset(*d.SendAt) {
		f.add("body.sendAt", "has an offset of a day or more")
	}
	if l := d.Lifetime; l != nil && (time.Duration(*l) < time.Minute || time.Duration(*l) > MaxLifetime) {
		f.add("body.lifetime", "is not between 1m and 672h")
	}
	if r := d.RatePerMinute; r != nil && (*r < MinRate || *r > MaxRate) {
		f.add("body.ratePerMinute", "is not between %d and %d", MinRate, MaxRate)
	}
	if d.Window != nil {
		d.Window.Check(&f, "body.window")
	}
	if d.Window != nil && d.Immediately {
		f.add("body.immediately", "contradicts window: leave one of them out")
	}

	return f
}

// HoursIn returns the hours in which a mailing is sent when it starts with some settings;
// nil for at any time.
func (d *Draft) HoursIn(set Settings) *Window {
	switch {
	case d.Immediately:
		return nil
	case d.Window != nil:
		return d.Window
	}
	return set.Window
}

// hasOffset reports whether RFC 3339 can write a time. Go reads offsets that it
// cannot write.
func hasOffset(t time.Time) bool {
	_, offset := t.Zone()
	return max(offset, -offset) < 24*60*60
}

// Fields and keys of data that Carillon sets in a message: the target, and these keys
// (link if the mailing has one).
var (
	TargetFields = []string{"token", "fid", "topic", "condition", "name"}
	ReservedData = []string{"mailing_id", "customer_id", "link"}
)

// checkTags adds the faults of the tags of a mailing.
func checkTags(f *Faults, tags []string) {
	if len(tags) > MaxTags {
		f.add("body.tags", "has %d tags; at most %d are allowed", len(tags), MaxTags)
		return
	}
	for i, tag := range tags {
		at := fmt.Sprintf("body.tags[%d]", i)
		if why := CheckTag(tag); why != "" {
			f.add(at, "%s", why)
		} else if slices.Index(tags, tag) < i {
			f.add(at, "is given twice")
		}
	}
}

// checkMessage adds the faults of a message object that Carillon can find. FCM finds the
// others when the payload is proven.
func checkMessage(f *Faults, raw json.RawMessage) {
	var m map[string]json.RawMessage
	switch {
	case len(raw) == 0 || string(raw) == "null":
		f.add("body.message", "is missing")
		return
	case len(raw) > MaxMessage:
		f.add("body.message", "is %d bytes long; at most %d are allowed", len(raw), MaxMessage)
		return
	case json.Unmarshal(raw, &m) != nil:
		f.add("body.message", "must be a JSON object")
		return
	}

	if len(m) == 0 {
		f.add("body.message", "is empty")
	}

	before := len(*f)
	for _, target := range TargetFields {
		if _, ok := m[target]; ok {
			f.add("body.message."+target, "is set by Carillon: a mailing's message has no target")
		}
	}

	var data map[string]json.RawMessage
	if json.Unmarshal(m["data"], &data) == nil {
		for _, k := range ReservedData {
			if _, ok := data[k]; ok {
				f.add("body.message.data."+k, "is set by Carillon")
			}
		}
	}

	checkLinks(f, raw)
	if len(*f) == before && len(m) > 0 && !HasContent(raw) {
		f.add("body.message", "shows and carries nothing: it needs a title, a body or an image, or data")
	}
}

// checkAudience adds the faults of an audience.
func (a *Audience) checkAudience(f *Faults) {
	set := 0
	for _, on := range []bool{a.Everyone, a.Customers != nil, a.Segments != nil, a.Tokens != nil} {
		if on {
			set++
		}
	}

	if set != 1 {
		f.add("body.audience", "needs exactly one of everyone, customers, segments and tokens; %d are set", set)
	}

	checkList(f, "body.audience.customers", a.Customers, CheckCustomerID)
	checkList(f, "body.audience.tokens", a.Tokens, CheckToken)
	if s := a.Segments; s != nil {
		if len(s.Any)+len(s.All)+len(s.None) == 0 {
			f.add("body.audience.segments", "must name a segment")
		}
		if len(s.Any)+len(s.All) == 0 && len(s.None) > 0 {
			f.add("body.audience.segments", "has only none: name any or all, too")
		}
		checkNames(f, "body.audience.segments.any", s.Any)
		checkNames(f, "body.audience.segments.all", s.All)
		checkNames(f, "body.audience.segments.none", s.None)
	}
}

// maxNamed is how many faults of one list are named.
const maxNamed = 20

// checkList adds the faults of a list of customers or tokens at a place. check returns the
// fault of one entry. At most maxNamed entries are named.
func checkList(f *Faults, at string, list []string, check func(string) string) {
	if list != nil && len(list) == 0 {
		f.add(at, "is empty")
	}
	if len(list) > MaxListed {
		f.add(at, "has %d entries; at most %d are allowed in one request", len(list), MaxListed)
		return
	}

	bad := 0
	for i, x := range list {
		if why := check(x); why != "" {
			if bad++; bad <= maxNamed {
				f.add(fmt.Sprintf("%s[%d]", at, i), "%s", why)
			}
		}
	}

	if bad > maxNamed {
		f.add(at, "%d more entries are faulty", bad-maxNamed)
	}
}

// checkNames adds the faults of a list of segments at a place.
func checkNames(f *Faults, at string, names []string) {
	if len(names) > MaxSegments {
		f.add(at, "has %d segments; at most %d are allowed", len(names), MaxSegments)
		return
	}
	for i, n := range names {
		checkName(f, fmt.Sprintf("%s[%d]", at, i), n)
	}
}

// checkName adds the fault of a name at a place, if it has one.
func checkName(f *Faults, at, name string) {
	if why := CheckName(name); why != "" {
		f.add(at, "%s", why)
	}
}
