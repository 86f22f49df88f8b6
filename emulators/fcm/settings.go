package fcm

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Options say how a server starts. The zero value is a server without latency,
// quota and authorization.
type Options struct {
	// Latency passes before each answer, plus or minus up to Jitter.
	Latency, Jitter time.Duration
	// QuotaPerMinute is how many sends a project has in a minute that starts
	// with its first; 0: no quota.
	QuotaPerMinute int
	// Keep is how many messages stay in memory; 0: 100,000.
	Keep int
	// RequireAuth refuses sends without "Authorization: Bearer …" as
	// UNAUTHENTICATED. Any bearer token will do.
	RequireAuth bool
	// Seed makes jitter and chaos repeatable.
	Seed uint64
	// MaxStreams is how many requests one HTTP/2 connection carries at a time;
	// 0: 100, as with FCM.
	MaxStreams int
	// GoAwayAfter is after how many requests a connection gets GOAWAY
	// (HTTP/1.1: Connection: close); 0: never.
	GoAwayAfter int
	// TLS serves TLS with a certificate of its own, HTTP/2 by ALPN, instead of
	// clear text (HTTP/1.1, and HTTP/2 with prior knowledge, on one port).
	TLS bool
}

// Settings are what can be changed while the server runs. Zero values mean
// the defaults named.
type Settings struct {
	// Latency passes before each answer, plus or minus up to Jitter.
	Latency, Jitter time.Duration
	// Slow is the latency that the outcome SLOW adds; default 5 s.
	Slow time.Duration
	// QuotaPerMinute is the quota of each project; 0: none.
	QuotaPerMinute int
	// Keep is how many messages stay in memory; default 100,000.
	Keep int
	// RequireAuth refuses sends without a bearer token.
	RequireAuth bool
	// GoAwayAfter is after how many requests a connection gets GOAWAY; 0: never.
	GoAwayAfter int
	// TopicLimit is the payload limit of topics and conditions in bytes.
	// Google documents 2,048, the default; captures show 4,096.
	TopicLimit int
	// Seed makes jitter and chaos repeatable.
	Seed uint64
	// Chaos is the share, from 0 to 1, of sends that end in an outcome. Outcomes
	// that speak of a token are drawn by token, so that a dead token stays dead;
	// the others by the number of the request.
	Chaos map[string]float64
	// IgnoreDuplicates turns off the counting of messages with the same
	// mailing_id and token, and with it its memory (about 16 bytes a message).
	IgnoreDuplicates bool
}

// Defaults of Options and Settings.
const (
	DefaultKeep       = 100_000
	DefaultMaxStreams = 100
	DefaultSlow       = 5 * time.Second
)

func (o Options) settings() Settings {
	return Settings{
		Latency: o.Latency, Jitter: o.Jitter, QuotaPerMinute: o.QuotaPerMinute, Keep: o.Keep,
		RequireAuth: o.RequireAuth, GoAwayAfter: o.GoAwayAfter, Seed: o.Seed,
	}
}

// fault is something wrong with what was asked of the emulator's own doors.
type fault struct {
	Location string `json:"location"`
	Message  string `json:"message"`
}

// faults is an error that names all of them.
type faults []fault

func (f faults) Error() string {
	parts := make([]string, len(f))
	for i, one := range f {
		parts[i] = one.Location + ": " + one.Message
	}
	return strings.Join(parts, "; ")
}

func (s Settings) withDefaults() Settings {
	if s.Keep == 0 {
		s.Keep = DefaultKeep
	}
	if s.Slow == 0 {
		s.Slow = DefaultSlow
	}
	if s.TopicLimit == 0 {
		s.TopicLimit = TopicPayloadLimit
	}
	return s
}

// check returns what is wrong with the settings.
func (s Settings) check() faults {
	var f faults
	add := func(bad bool, at, why string) {
		if bad {
			f = append(f, fault{at, why})
		}
	}
	const negative = "must not be negative"
	add(s.Latency < 0, "latency", negative)
	add(s.Jitter < 0, "jitter", negative)
	add(s.Slow < 0, "slow", negative)
	add(s.QuotaPerMinute < 0, "quotaPerMinute", negative)
	add(s.Keep < 0, "keep", negative)
	add(s.GoAwayAfter < 0, "goAwayAfter", negative)
	add(s.TopicLimit < 0, "topicLimit", negative)
	sum := 0.0
	for name, share := range s.Chaos {
		add(!known(name) || name == OK, "chaos."+name, "is no outcome that can be drawn")
		add(!(share >= 0 && share <= 1), "chaos."+name, "must be a share from 0 to 1")
		sum += share
	}
	add(sum > 1+1e-9 && !math.IsNaN(sum), "chaos", fmt.Sprintf("the shares add up to %g, more than 1", sum))
	return f
}

// policy is the settings as a send reads them.
type policy struct {
	Settings
	byToken, byRequest []chance
}

// chance is an outcome with the upper end of its part of [0, 1).
type chance struct {
	below   float64
	outcome string
}

func newPolicy(s Settings) *policy {
	p := &policy{Settings: s}
	names := make([]string, 0, len(s.Chaos))
	for name := range s.Chaos {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		list := &p.byRequest
		if aboutToken[name] {
			list = &p.byToken
		}
		below := s.Chaos[name]
		if n := len(*list); n > 0 {
			below += (*list)[n-1].below
		}
		*list = append(*list, chance{below, name})
	}
	return p
}

// draw returns the outcome that chaos has for a send, "" for none. token is
// empty for topics; number is the request's, counted from the start.
func (p *policy) draw(token string, number uint64) string {
	if token != "" && len(p.byToken) > 0 {
		if o := pick(p.byToken, mix(hashString(p.Seed, token))); o != "" {
			return o
		}
	}
	return pick(p.byRequest, mix(p.Seed+mix(number)))
}

func pick(list []chance, x uint64) string {
	if len(list) == 0 {
		return ""
	}
	at := fraction(x)
	for _, c := range list {
		if at < c.below {
			return c.outcome
		}
	}
	return ""
}

// delay is the latency of the request with this number.
func (p *policy) delay(number uint64) time.Duration {
	if p.Jitter == 0 {
		return p.Latency
	}
	at := 2*fraction(mix(p.Seed^mix(number+1<<40))) - 1
	return max(0, p.Latency+time.Duration(at*float64(p.Jitter)))
}
