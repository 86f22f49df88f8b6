package push

import "time"

// A State is the state of a mailing.
type State string

// The states of a mailing. The last four are final.
const (
	Scheduled State = "scheduled" // stored; it waits for sendAt
	Accepted  State = "accepted"  // stored; it is about to start
	Sending   State = "sending"
	Paused    State = "paused"
	Completed State = "completed" // every token has its result
	Cancelled State = "cancelled" // by hand
	Expired   State = "expired"   // its lifetime ended first
	Refused   State = "refused"   // FCM does not accept its message
)

// transitions lists the states that may follow each state.
var transitions = map[State][]State{
	Scheduled: {Accepted, Paused, Cancelled, Expired, Refused},
	Accepted:  {Sending, Paused, Cancelled, Expired, Refused},
	Sending:   {Paused, Completed, Cancelled, Expired, Refused},
	Paused:    {Scheduled, Accepted, Sending, Completed, Cancelled, Expired, Refused},
}

// States lists all states, in the order of the life of a mailing.
func States() []State {
	return []State{Scheduled, Accepted, Sending, Paused, Completed, Cancelled, Expired, Refused}
}

// Final reports whether no state can follow s.
func (s State) Final() bool { return len(transitions[s]) == 0 }

// CanBecome reports whether next may follow s.
func (s State) CanBecome(next State) bool {
	for _, t := range transitions[s] {
		if t == next {
			return true
		}
	}
	return false
}

// A Mailing is a stored draft with its state and times.
type Mailing struct {
	ID string
	Draft
	Recipient string // of a mailing to one listed customer or token: CustomerKey or TokenID; else ""
	Digest    string // of the request's body: the same Idempotency-Key with another body is refused
	CreatedBy Caller // the caller who created it
	Label     string // FCM's analytics label of its messages, "" for none

	State           State
	PausedReason    PauseReason // with Paused; with Completed, if Carillon had paused it when the last token was answered
	PausedDetail    string      // with PausedReason: what was found, in words; "" by hand
	PausedProject   string      // with PausedReason: the Firebase project that it is about; "" by hand, and for the default project
	PausedPlatforms []Platform  // platforms that refuse the app's credentials: their targets wait, others go on
	ResumedAt       time.Time   // when it was last resumed: messages of batches that came before were acknowledged
	PausedFrom      State       // with Paused: the state resume goes back to
	Pauses          []Pause     // the first maxPauses pauses, in order
	Refusal         string      // with Refused: FCM's words
	Proven          bool        // FCM accepts this payload

	CreatedAt   time.Time
	StartAt     time.Time // sendAt, or CreatedAt
	StartedAt   time.Time // zero until started
	CompletedAt time.Time // zero until no token is pending
	ExpiresAt   time.Time // nothing is sent from then on

	Selection  DeviceSelection // what Devices or the setting said when it started
	Hours      *Window         // what Window or the setting said when it started; nil: it is sent at any time
	NextSlot   time.Time       // of a mailing with hours and a rate: when the next batch may be sent
	Estimated  int64           // customers of the audience, as counted when it started; 0 before
	Shards     int             // number of ranges of keys that dispatch works through at the same time
	Dispatched bool            // every shard has all its batches
	Active     bool            // tick still has something to do for it
	Totals     *Totals         // frozen when it ended
	Reports    *ReportCounts   // frozen when its reports are not counted any more

	Single bool           // it is a message to one customer: see Message.Mailing
	Values map[string]any // of such a message, for its templates

	Title        string       // TitleOf the message: lists are read without the message
	SizeAllowed  bool         // a person resumed it although its audience is larger than MaxCustomers
	HeldDecision HeldDecision // what a person decided about held flags, "": nothing
	Unflag       *Unflag      // nil: there was no unflag
	PublishedAt  time.Time    // when tick last asked for its start; zero again after each change of its state
	Revision     time.Time    // the revision that MarkStartPublished expects
}

// CanFinish reports whether a mailing ends once its batches are settled: every shard
// has all its batches, or the mailing has ended otherwise.
func (m *Mailing) CanFinish() bool {
	return m.State.Final() || m.Dispatched && (m.State == Sending || m.State == Paused)
}

// RateLimit returns the limit of the mailing in messages a minute, 0 for none.
func (m *Mailing) RateLimit() int {
	if m.RatePerMinute == nil {
		return 0
	}
	return *m.RatePerMinute
}

// NewMailing makes a mailing from a checked draft that is received at now.
func NewMailing(id, digest string, d Draft, now time.Time) *Mailing {
	m := &Mailing{ID: id, Draft: d, Digest: digest, State: Accepted, CreatedAt: now, StartAt: now, Active: true, Title: TitleOf(d.ListPayloads()[0].Message)}
	if d.SendAt != nil && d.SendAt.After(now) {
		m.State, m.StartAt = Scheduled, d.SendAt.UTC()
	}
	m.Recipient = d.Audience.onlyRecipient()
	life := DefaultLifetime
	if d.Lifetime != nil {
		life = time.Duration(*d.Lifetime)
	}
	m.ExpiresAt = m.StartAt.Add(life)
	return m
}

// Totals has the sums of a mailing, by customers and by tokens.
type Totals struct {
	Customers CustomerTotals   `json:"customers"`
	Tokens    TokenTotals      `json:"tokens"`
	Held      map[string]int64 `json:"held" doc:"flags that wait for evidence, by code; these tokens are counted in tokens.invalid"`
	// MissingAttribute is 0 for a mailing without templates.
	MissingAttribute int64 `json:"missingAttribute" doc:"tokens that were sent a message which was rendered without an attribute that the templates name, whatever FCM answered"`
	// Platforms has every one of PlatformNames; nil for a mailing that ended before there
	// were sums by platform.
	Platforms map[string]TokenTotals `json:"platforms,omitempty" doc:"the sums of the tokens of each platform (android, ios, web, unknown): together they are tokens"`
	// Apps is nil until the mailing has ended.
	Apps map[string]TokenTotals `json:"apps,omitempty" doc:"once completedAt is set: the sums of the tokens of each app, by the name with which tokens were registered; unknown: registered without one; beyond 50 apps the smallest together as other; together they are tokens"`
	// Variants is nil for a mailing without variants.
	Variants map[string]VariantTotals `json:"variants,omitempty" doc:"the sums of each variant, by name: together they are customers.targeted and tokens"`
}

// CustomerTotals: Matched = Targeted + everything in Excluded. Once the mailing has
// ended, Matched + NotReached is its whole audience.
type CustomerTotals struct {
	Estimated  int64    `json:"estimated" doc:"about how many customers the audience has; 0 until the mailing starts"`
	Matched    int64    `json:"matched" doc:"customers of the audience that dispatch has read so far"`
	Targeted   int64    `json:"targeted"`
	NotReached int64    `json:"notReached" doc:"customers of the audience that dispatch never read, because the mailing was cancelled, expired or refused; counted once completedAt is set"`
	Excluded   Excluded `json:"excluded"`
}

// Excluded counts the customers that are left out, by reason: see Exclusion.
type Excluded struct {
	NoValidToken int64 `json:"noValidToken"`
	OptedOut     int64 `json:"optedOut"`
	Category     int64 `json:"category"`
	Unknown      int64 `json:"unknown"`
	Muted        int64 `json:"muted"`
	Filtered     int64 `json:"filtered"`
	Control      int64 `json:"control"`
}

// Sum returns how many are left out.
func (e Excluded) Sum() int64 {
	return e.NoValidToken + e.OptedOut + e.Category + e.Unknown + e.Muted + e.Filtered + e.Control
}

// Plus returns the sums of both, reason by reason.
func (e Excluded) Plus(o Excluded) Excluded {
	return Excluded{
		NoValidToken: e.NoValidToken + o.NoValidToken, OptedOut: e.OptedOut + o.OptedOut, Category: e.Category + o.Category,
		Unknown: e.Unknown + o.Unknown, Muted: e.Muted + o.Muted, Filtered: e.Filtered + o.Filtered, Control: e.Control + o.Control,
	}
}

// Add counts n customers that are left out for that reason.
func (e *Excluded) Add(why Exclusion, n int64) {
	switch why {
	case ExcludedNoValidToken:
		e.NoValidToken += n
	case ExcludedOptedOut:
		e.OptedOut += n
	case ExcludedUnsubscribed:
		e.Category += n
	case ExcludedUnknown:
		e.Unknown += n
	case ExcludedMuted:
		e.Muted += n
	case ExcludedFiltered:
		e.Filtered += n
	case ExcludedControl:
		e.Control += n
	}
}

// TokenTotals: Targeted = Accepted + everything in Invalid + Refused + Failed +
// Expired + Cancelled + Pending.
type TokenTotals struct {
	Targeted  int64            `json:"targeted"`
	Accepted  int64            `json:"accepted"`
	Invalid   map[string]int64 `json:"invalid"` // by code: targets that FCM called invalid, whether or not their token was flagged
	Refused   int64            `json:"refused"`
	Failed    int64            `json:"failed"`
	Expired   int64            `json:"expired"`
	Cancelled int64            `json:"cancelled"`
	Pending   int64            `json:"pending"`
}

// AudienceCounts has the number of customers of a shard that are in batches or left
// out so far.
type AudienceCounts struct {
	Targeted  int64              // customers
	ByVariant [MaxVariants]int64 // those of Targeted, by the index of the variant; zeros without variants
	Excluded  Excluded
}

// NewTotals adds up the counts of shards and batches.
func NewTotals(a AudienceCounts, targeted int64, t Tally, held map[string]int64) Totals {
	return Totals{
		Customers: CustomerTotals{Matched: a.Targeted + a.Excluded.Sum(), Targeted: a.Targeted, Excluded: a.Excluded},
		Tokens:    NewTokenTotals(targeted, t),
		Held:      held,
	}
}

// NewTokenTotals makes the sums of tokens.
func NewTokenTotals(targeted int64, t Tally) TokenTotals {
	return TokenTotals{
		Targeted: targeted, Accepted: t[ResultAccepted],
		Invalid: map[string]int64{CodeUnregistered: t[ResultUnregistered], CodeInvalidArgument: t[ResultInvalidArgument],
			CodeWrongSender: t[ResultWrongSender]},
		Refused: t[ResultRefused], Failed: t[ResultFailed], Expired: t[ResultExpired], Cancelled: t[ResultCancelled],
		Pending: targeted - t.Sum(),
	}
}
