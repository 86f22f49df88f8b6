package adopt

import (
	"regexp"
	"slices"
	"time"

	"carillon.example/shared/push"
)

// An entry is a push token as a source has it.
type entry struct {
	customer string
	token    string
	platform push.Platform // "": not known
	app      string
	addedAt  time.Time // when the token was stored; zero: not known
	seenAt   time.Time // when the phone was last active; zero: not known
	leaveOut reason    // why the source says that it is of no use; "": it may be
	place    string    // where it stands in the source
}

// latest returns the latest time that the source has of the token, zero if it has none.
func (e *entry) latest() time.Time {
	if e.seenAt.After(e.addedAt) {
		return e.seenAt
	}
	return e.addedAt
}

// A reason says why a token is left out, in the words of the report.
type reason string

// The reasons, in the order of the report.
const (
	noCustomer    reason = "have no customer id"
	badCustomer   reason = "have a customer id that Carillon refuses"
	noToken       reason = "have no token"
	apnsToken     reason = "are APNs device tokens, which FCM does not know: the app has to register its FCM token"
	expoToken     reason = "are Expo push tokens, which FCM does not know: the app has to register its FCM token"
	badToken      reason = "are no tokens that FCM could have made"
	unsubscribed  reason = "are unsubscribed or invalid, as the source says"
	givenTwice    reason = "are there a second time"
	otherCustomer reason = "belong to two customers, and stay with the one who got them last"
	tooMany       reason = "are more than a customer may have, and the oldest ones"
)

const (
	shownExamples  = 3  // of a reason
	shownTokenSize = 16 // bytes of a token
)

var reasons = []reason{noCustomer, badCustomer, noToken, apnsToken, expoToken, badToken, unsubscribed, givenTwice, otherCustomer, tooMany}

var (
	apnsForm = regexp.MustCompile(`^[0-9a-fA-F]{64,200}$`)
	expoForm = regexp.MustCompile(`^Expo(nent)?PushToken\[`)
	fcmForm  = regexp.MustCompile(`^[A-Za-z0-9_:-]{8,}$`)
)

// A plan says what becomes of every token of a source. It holds all tokens in memory.
type plan struct {
	maxTokens int
	byToken   map[string]*entry
	tokens    []*entry // in the order of the source
	read      int      // entries
	leftOut   map[reason]int
	examples  map[reason][]entry
}

func newPlan(maxTokens int) *plan {
	return &plan{maxTokens: maxTokens, byToken: map[string]*entry{}, leftOut: map[reason]int{}, examples: map[reason][]entry{}}
}

// addEntry decides about an entry.
func (p *plan) addEntry(e entry) {
	p.read++
	if why := whyUseless(e); why != "" {
		p.leaveOut(e, why)
		return
	}

	other := p.byToken[e.token]
	switch {
	case other == nil:
		p.byToken[e.token] = &e
		p.tokens = append(p.tokens, &e)
	case other.customer == e.customer:
		if e.latest().After(other.latest()) {
			e, *other = *other, e
		}
		p.leaveOut(e, givenTwice)
	default:
		// If the times are equal or not known, the later entry of the source counts as later.
		// The entry is replaced in place, because byToken and tokens share the pointer.
		if !e.latest().Before(other.latest()) {
			e, *other = *other, e
		}
		p.leaveOut(e, otherCustomer)
	}
}

// whyUseless returns why an entry is of no use by itself, "" if it may be of use.
func whyUseless(e entry) reason {
	switch {
	case e.leaveOut != "":
		return e.leaveOut
	case e.customer == "":
		return noCustomer
	case push.CheckCustomerID(e.customer) != "":
		return badCustomer
	case e.token == "":
		return noToken
	case apnsForm.MatchString(e.token):
		return apnsToken
	case expoForm.MatchString(e.token):
		return expoToken
	case push.CheckToken(e.token) != "" || !fcmForm.MatchString(e.token):
		return badToken
	}
	return ""
}

// leaveOut counts an entry that is left out, and keeps the first ones as examples.
func (p *plan) leaveOut(e entry, why reason) {
	p.leftOut[why]++
	if len(p.examples[why]) < shownExamples {
		p.examples[why] = append(p.examples[why], e)
	}
}

// An adoptedCustomer is a customer with the tokens to be imported, the newest first.
type adoptedCustomer struct {
	id     string
	tokens []*entry
}

// customers returns the customers in the order of the source. It leaves out the oldest
// tokens of those who have too many. Call it once, after the last addEntry.
func (p *plan) customers() []adoptedCustomer {
	index := map[string]int{}
	var out []adoptedCustomer
	for _, e := range p.tokens {
		i, known := index[e.customer]
		if !known {
			i = len(out)
			index[e.customer] = i
			out = append(out, adoptedCustomer{id: e.customer})
		}
		out[i].tokens = append(out[i].tokens, e)
	}

	for i := range out {
		tokens := out[i].tokens
		slices.SortStableFunc(tokens, func(a, b *entry) int { return b.latest().Compare(a.latest()) })
		for len(tokens) > p.maxTokens {
			p.leaveOut(*tokens[len(tokens)-1], tooMany)
			tokens = tokens[:len(tokens)-1]
		}
		out[i].tokens = tokens
	}
	return out
}
