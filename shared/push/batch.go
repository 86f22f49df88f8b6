package push

import (
	"math"
	"slices"
	"time"
)

// MaxBatch is how many targets a batch has at most. A batch costs the same few reads
// and writes whatever its size, and is sent in a second or two.
const MaxBatch = 1000

// A BatchRef names a batch. It is the content of the messages to deliver.
type BatchRef struct {
	Mailing string `json:"mailing"`
	Batch   string `json:"batch"`
}

// A DispatchMessage asks dispatch to start a mailing (Shard DispatchStart), to remove
// its flags (Shard DispatchUnflag), or to go on with one of its shards.
type DispatchMessage struct {
	Mailing string `json:"mailing"`
	Shard   int    `json:"shard"`
}

// Values of DispatchMessage.Shard that name no shard.
const (
	DispatchStart  = -1 // start the mailing
	DispatchUnflag = -2 // begin or continue to remove its flags: see Unflag
)

// A Target is one push token of a batch, and what is needed to send to it.
type Target struct {
	Customer   string // the customer's id
	Token      string // the push token itself
	Kind       Kind
	Platform   Platform
	App        string         // the app that registered the token, "" if unknown
	Young      bool           // an app registered it less than YoungToken before the batch was created
	Variant    int            // index of the message that it gets, 0 in a mailing without variants
	Attributes map[string]any // those that the templates of the mailing use; nil without templates
	// MissingAttribute says that its message was rendered without an attribute that the
	// templates name.
	MissingAttribute bool

	Zone string // the customer's time zone; not stored: Batch has one for all
}

// A Result is what happened to one target of a batch. It is stored as one byte.
type Result byte

// The results. ResultPending is the zero value: there is no result yet.
const (
	ResultPending Result = iota
	ResultAccepted
	ResultUnregistered
	ResultInvalidArgument
	ResultRefused     // FCM does not accept this message for it
	ResultFailed      // given up
	ResultExpired     // the mailing's lifetime ended first
	ResultCancelled   // by hand, or the token moved, or was erased or flagged, or its customer opted out
	ResultWrongSender // the token belongs to another Firebase project
	resultCount
)

// Codes of flags: errorCode or status of FCM, and our own for a token that was not
// seen for too long.
const (
	CodeUnregistered    = "UNREGISTERED"
	CodeInvalidArgument = "INVALID_ARGUMENT"
	CodeWrongSender     = "SENDER_ID_MISMATCH"
	CodeExpired         = "EXPIRED"
)

// CodeSuperseded says that a token was replaced by another token of the same phone.
// It is no code of a flag: a superseded token is removed.
const CodeSuperseded = "SUPERSEDED"

// IsKnown reports whether this version knows the result.
func (r Result) IsKnown() bool { return r < resultCount }

// resultNames are the results as the API has them, in order.
var resultNames = [resultCount]string{"pending", "accepted", "invalid", "invalid", "refused", "failed", "expired", "cancelled", "invalid"}

// String returns the result as the API names it. Code says which of the invalid ones
// it is.
func (r Result) String() string {
	if !r.IsKnown() {
		return "unknown"
	}
	return resultNames[r]
}

// FlagCode returns the code of the flag of an invalid result, "" for any other.
func (r Result) FlagCode() string {
	switch r {
	case ResultUnregistered:
		return CodeUnregistered
	case ResultInvalidArgument:
		return CodeInvalidArgument
	case ResultWrongSender:
		return CodeWrongSender
	}
	return ""
}

// A Tally has the number of targets of a batch by result. Its value for ResultPending
// is always 0.
type Tally [resultCount]int64

// TallyOf counts results.
func TallyOf(rs []Result) (t Tally) {
	for _, r := range rs {
		if r != ResultPending && r.IsKnown() {
			t[r]++
		}
	}
	return t
}

// Sum returns how many targets have a result.
func (t Tally) Sum() (n int64) {
	for _, x := range t {
		n += x
	}
	return n
}

// wasSent reports whether a message with this result may have been sent. A pending, cancelled
// or expired one was not, or FCM has not accepted it.
func (r Result) wasSent() bool {
	return r != ResultPending && r != ResultExpired && r != ResultCancelled
}

// A Lease says which call may work on a batch, and until when.
type Lease struct {
	Owner string
	Until time.Time
}

// InvalidToken is a token that a mailing found invalid.
type InvalidToken struct {
	Customer string    `json:"customer"`
	TokenID  string    `json:"tokenId"`
	Code     string    `json:"code"`
	Status   string    `json:"status,omitempty"`
	At       time.Time `json:"at"`
}

// A Batch is a part of a mailing that one call of deliver works through.
type Batch struct {
	BatchRef
	Shard     int
	CreatedAt time.Time // when dispatch created it; of a message to one customer, when its targets were chosen
	NotBefore time.Time // nothing is sent earlier: a rate, a quota, an outage
	Zone      string    // of a mailing with hours: the time zone of all its customers, or one with the same hours
	WaitUntil time.Time // when the hours of Zone begin; zero: the batch does not wait for them
	Leases    int       // how often it was leased
	Tries     int       // leases since the last call that succeeded
	Crashes   int       // how many calls in a row ended without releasing the lease
	Saved     bool      // whether the last call that leased it stored any result
	Lease     Lease
	Settled   bool
	Limited   int       // how many answers of FCM were 429, of all calls that saved the batch
	Reason    string    // why targets failed, if any did
	Revision  time.Time // the revision that the next save expects

	Lane        Lane      // the subscription of deliver that it is published to
	PublishedAt time.Time // when a message for it was last published; zero once a call has leased it

	// First and Last are keys of customers: the keys of all targets are between them. "": the
	// keys of the first and the last target.
	First, Last string

	Variants  int // how many the mailing has; 0: its targets all get one message
	Targets   []Target
	Results   []Result // one for each target
	OwedFlags []int    // targets whose flag or event is not stored yet
	HeldFlags []int    // those of OwedFlags that wait for evidence

	// CrashedWith has for each target how many calls crashed while it was possibly
	// under way; nil if no call ever crashed with the batch. The counts never
	// decrease, because the phone may have got the message that often.
	CrashedWith []byte
	// UnderWay lists the targets that the call with the lease may have under way and
	// not saved. Only a call that finds CrashedWith set stores it, before it sends.
	UnderWay      []int
	InvalidTokens []InvalidToken // tokens that this batch found invalid, without dropped flags; every owed flag has one
}

// CountCrashes returns how many calls in a row ended without releasing the lease. Call it
// when no valid lease exists: a lease that is still stored is that of a crashed call.
func (b *Batch) CountCrashes() int {
	if b.Lease.Owner != "" {
		return b.Crashes + 1
	}
	return b.Crashes
}

// MostCrashes returns the greatest count of crashes of a pending target. Call it when
// no valid lease exists.
func (b *Batch) MostCrashes() int {
	most := 0
	for i, n := range b.crashesWithLease() {
		if b.Results[i] == ResultPending {
			most = max(most, int(n))
		}
	}
	return most
}

// crashesWithLease returns CrashedWith with the crash of the call whose lease is still
// stored. The first call that crashes may have sent to any pending target; later
// calls have stored what they were about to send.
func (b *Batch) crashesWithLease() []byte {
	if b.Lease.Owner == "" {
		return b.CrashedWith
	}

	suspects := b.UnderWay
	if b.CrashedWith == nil {
		suspects = b.PendingTargets()
	}

	counts := make([]byte, len(b.Results))
	copy(counts, b.CrashedWith)
	for _, i := range suspects {
		if b.Results[i] == ResultPending && counts[i] < math.MaxUint8 {
			counts[i]++
		}
	}

	return counts
}

// AcquireLease gives the lease of the batch to its owner, and counts the crash of a call
// that did not release it.
func (b *Batch) AcquireLease(l Lease) {
	b.CrashedWith = b.crashesWithLease()
	b.UnderWay = nil
	b.Crashes = b.CountCrashes()
	b.Leases++
	b.Tries++
	b.Saved = false
	b.Lease = l
}

// ReleaseLease ends the lease. well is true if the call succeeded, and false if it failed and
// has stored its results.
func (b *Batch) ReleaseLease(well bool) {
	b.Lease = Lease{}
	b.Crashes = 0
	if well {
		b.Tries = 0
	}
}

// PendingTargets lists the targets without a result.
func (b *Batch) PendingTargets() []int {
	var out []int
	for i, r := range b.Results {
		if r == ResultPending {
			out = append(out, i)
		}
	}
	return out
}

// HeldByCode counts the held flags by code.
func (b *Batch) HeldByCode() map[string]int64 {
	n := map[string]int64{}
	for _, i := range b.HeldFlags {
		n[b.Results[i].FlagCode()]++
	}
	return n
}

// CountMissingAttribute counts the targets that were sent a message which was rendered
// without an attribute that the templates name, whatever FCM answered.
func (b *Batch) CountMissingAttribute() (n int) {
	for i, t := range b.Targets {
		if t.MissingAttribute && b.Results[i].wasSent() {
			n++
		}
	}
	return n
}

// ClosePending gives a result to every pending target, and returns how many there
// were.
func (b *Batch) ClosePending(r Result) (n int) {
	for i := range b.Results {
		if b.Results[i] == ResultPending {
			b.Results[i] = r
			n++
		}
	}
	return n
}

// EraseTargets empties the targets of customers and keeps their places. A target
// without a result is cancelled, and its flags are not owed any more. It reports
// whether there was one.
func (b *Batch) EraseTargets(erased func(customer string) bool) (found bool) {
	for i, t := range b.Targets {
		if t.Customer == "" || !erased(t.Customer) {
			continue
		}
		found = true
		b.Targets[i] = Target{Kind: t.Kind, Platform: t.Platform, App: t.App, Variant: t.Variant, MissingAttribute: t.MissingAttribute}
		if b.Results[i] == ResultPending {
			b.Results[i] = ResultCancelled
		}
		b.OwedFlags = slices.DeleteFunc(b.OwedFlags, func(owed int) bool { return owed == i })
		b.HeldFlags = slices.DeleteFunc(b.HeldFlags, func(held int) bool { return held == i })
	}

	b.InvalidTokens = slices.DeleteFunc(b.InvalidTokens, func(d InvalidToken) bool { return erased(d.Customer) })
	return found
}

// A Shard is one range of the keys of an audience, and the progress of dispatch in
// it.
type Shard struct {
	Mailing    string
	Number     int
	From       string // lower end of the range, exclusive; "" is the start of all keys
	After      string // cursor: keys up to and including this one are done; at first From
	Upto       string // upper end of the range, inclusive; "" is the end of all keys
	Estimated  int64  // about how many customers it has; not stored
	Batches    int    // created so far
	Done       bool
	LeaseUntil time.Time // until then a call of dispatch has the lease; zero: none has
	NextSlot   time.Time // rate-limited mailings: when the next batch may be sent
	Revision   time.Time // the revision that the next save expects
	ExpireAt   time.Time // from then on TTL deletes it and its batches

	ContinueAt  time.Time // when to go on; zero: at once
	PublishedAt time.Time // when a message for it was last published; zero once a call has leased it
	AudienceCounts
}
