package fcm

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Options configure a server at its start. The zero value is a server without latency,
// quota and authorization.
type Options struct {
	// Latency is the time before each answer, plus or minus up to Jitter.
	Latency, Jitter time.Duration
	// QuotaPerMinute is the number of sends of a project in a minute; 0: no limit.
	QuotaPerMinute int
	// QuotaShape is how the quota is counted and refused: QuotaMinuteRetryAfter,
	// the default, QuotaMinute or QuotaBucket.
	QuotaShape string
	// Keep is the number of messages that are stored; 0: 100,000.
	Keep int
	// RequireAuth refuses sends without "Authorization: Bearer …" as
	// UNAUTHENTICATED. Any bearer token is accepted.
	RequireAuth bool
	// Seed makes jitter and chaos repeatable.
	Seed uint64
	// MaxStreams is the number of concurrent requests of an HTTP/2 connection; 0:
	// 100, as FCM.
	MaxStreams int
	// GoAwayAfter is the number of requests after which a connection gets GOAWAY
	// (HTTP/1.1: Connection: close); 0: never.
	GoAwayAfter int
	// TLS serves TLS with a new certificate, HTTP/2 by ALPN, instead of clear text
	// (HTTP/1.1, and HTTP/2 with prior knowledge, on the same port).
	TLS bool
}

// Settings can be changed while the server runs. A zero value is the default that its field
// names.
type Settings struct {
	// Latency passes before each answer, plus or minus up to Jitter.
	Latency, Jitter time.Duration
	// Slow is the latency that the outcome SLOW adds; default 5 s.
	Slow time.Duration
	// JumpLatency replaces Latency during the last JumpFor of every JumpEvery,
	// counted from when it was set; JumpEvery 0: never.
	JumpLatency, JumpEvery, JumpFor time.Duration
	// QuotaPerMinute is the quota of each project; 0: none.
	QuotaPerMinute int
	// QuotaShape is how the quota is counted and refused; default
	// QuotaMinuteRetryAfter.
	QuotaShape string
	// Keep is the number of messages that are stored; default 100,000.
	Keep int
	// RequireAuth refuses sends without a bearer token.
	RequireAuth bool
	// GoAwayAfter is the number of requests after which a connection gets GOAWAY;
	// 0: never.
	GoAwayAfter int
	// TopicLimit is the payload limit of topics and conditions in bytes.
	// Google documents 2,048, the default; captures show 4,096.
	TopicLimit int
	// Seed makes jitter and chaos repeatable.
	Seed uint64
	// Chaos has the share of sends, from 0 to 1, with an outcome. Outcomes about a
	// token are drawn by token, so that an invalid token stays invalid; the others
	// by the number of the request.
	Chaos map[string]float64
	// Outages sets the outcome of all sends of a kind, before any rule. The key is
	// * for all, a platform (see SetPhones), or token, fid, topic or condition. A
	// platform goes before a kind of target, and that before *. An outcome about a
	// token does not apply to topics.
	Outages map[string]string
	// PhonesProject is the project of all phones. Sends of another project get
	// SENDER_ID_MISMATCH for tokens and UNREGISTERED for installation ids; "":
	// phones belong to the project of each sender.
	PhonesProject string
	// ExclusiveInstallations makes the token FID:rest and the installation id FID
	// exclude each other: after a message was delivered to one of them, or the app
	// registered it (SetInstallations), the other one answers UNREGISTERED.
	ExclusiveInstallations bool
	// FIDsMustRegister makes installation ids answer UNREGISTERED until the app has
	// registered them with FCM (SetInstallations).
	FIDsMustRegister bool
	// IgnoreDuplicates switches off the count of messages with the same mailing_id
	// and token, which needs about 16 bytes of memory for each message.
	IgnoreDuplicates bool
	// DataAPIDisabled makes the FCM Data API answer PERMISSION_DENIED, as for a
	// project that has not enabled it.
	DataAPIDisabled bool
}

// Defaults of Options and Settings.
const (
	DefaultKeep       = 100_000
	DefaultMaxStreams = 100
	DefaultSlow       = 5 * time.Second
)

func (o Options) settings() Settings {
	return Settings{
		Latency: o.Latency, Jitter: o.Jitter, QuotaPerMinute: o.QuotaPerMinute, QuotaShape: o.QuotaShape, Keep: o.Keep,
		RequireAuth: o.RequireAuth, GoAwayAfter: o.GoAwayAfter, Seed: o.Seed,
	}
}

// fault is a fault of a request to one of the paths below /emulator/.
type fault struct {
	Location string `json:"location"`
	Message  string `json:"message"`
}

// faults is an error that names every fault.
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
	if s.QuotaShape == "" {
		s.QuotaShape = QuotaMinuteRetryAfter
	}
	if s.TopicLimit == 0 {
		s.TopicLimit = TopicPayloadLimit
	}
	return s
}

// check returns the faults of the settings.
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
	add(s.JumpLatency < 0, "jumpLatency", negative)
	add(s.JumpEvery < 0, "jumpEvery", negative)
	add(s.JumpFor < 0 || s.JumpFor > s.JumpEvery, "jumpFor", "must be from 0 to jumpEvery")
	add(s.QuotaPerMinute < 0, "quotaPerMinute", negative)
	add(s.QuotaShape != "" && !knownShape(s.QuotaShape), "quotaShape", "must be one of "+strings.Join(quotaShapes, ", "))
	add(s.Keep < 0, "keep", negative)
	add(s.GoAwayAfter < 0, "goAwayAfter", negative)
	add(s.TopicLimit < 0, "topicLimit", negative)
	for key, name := range s.Outages {
		add(!slices.Contains(outageKeys, key), "outages."+key, "must be one of "+strings.Join(outageKeys, ", "))
		add(!knownOutcome(name) || name == OK, "outages."+key, "is not an outcome that an outage can have")
	}

	sum := 0.0
	for name, share := range s.Chaos {
		add(!knownOutcome(name) || name == OK, "chaos."+name, "is not an outcome that chaos can have")
		add(!(share >= 0 && share <= 1), "chaos."+name, "must be a share from 0 to 1")
		sum += share
	}

	add(sum > 1+1e-9 && !math.IsNaN(sum), "chaos", fmt.Sprintf("the shares add up to %g, more than 1", sum))
	return f
}

// A policy has the settings in the form that a send reads. It is replaced as a whole and
// never changed.
type policy struct {
	Settings
	began              time.Time // when they were set
	byToken, byRequest []chance
}

// chance is an outcome of chaos. It applies to a draw from [0, 1) that is less than below,
// and not less than the bound of the chance before it.
type chance struct {
	below   float64
	outcome string
}

func newPolicy(s Settings) *policy {
	p := &policy{Settings: s, began: time.Now()}
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

// drawChaos returns the outcome of chaos for a send, "" for none. token is empty for
// topics. number is the number of the request.
func (p *policy) drawChaos(token string, number uint64) string {
	if token != "" && len(p.byToken) > 0 {
		if o := pickChance(p.byToken, mixBits(hashString(p.Seed, token))); o != "" {
			return o
		}
	}
	return pickChance(p.byRequest, mixBits(p.Seed+mixBits(number)))
}

// pickChance returns the outcome for 64 random bits, "" for none.
func pickChance(list []chance, x uint64) string {
	if len(list) == 0 {
		return ""
	}
	at := unitFraction(x)
	for _, c := range list {
		if at < c.below {
			return c.outcome
		}
	}
	return ""
}

// latencyAt returns the latency of the request with this number at a time.
func (p *policy) latencyAt(number uint64, now time.Time) time.Duration {
	latency := p.Latency
	if p.inJump(now) {
		latency = p.JumpLatency
	}
	if p.Jitter == 0 {
		return latency
	}
	at := 2*unitFraction(mixBits(p.Seed^mixBits(number+1<<40))) - 1
	return max(0, latency+time.Duration(at*float64(p.Jitter)))
}

// inJump reports whether the latency has jumped.
func (p *policy) inJump(now time.Time) bool {
	return p.JumpEvery > 0 && now.Sub(p.began)%p.JumpEvery >= p.JumpEvery-p.JumpFor
}

// ruleApplies reports whether a rule for a share of the sends applies to this one. For
// an outcome about a token the token decides, for any other outcome the request.
func (p *policy) ruleApplies(r *rule, address string, number uint64) bool {
	if r.Share == 0 {
		return true
	}
	seed := mixBits(p.Seed ^ r.order)
	if aboutToken[r.Outcome.Outcome] {
		return unitFraction(mixBits(hashString(seed, address))) < r.Share
	}
	return unitFraction(mixBits(seed+mixBits(number))) < r.Share
}
