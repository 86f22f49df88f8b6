package push

import (
	"math"
	"slices"
	"time"
)

// MaxBatch is how many targets one batch has at most: each costs the same few
// reads and writes, whatever its size, and is sent in a second or two.
const MaxBatch = 1000

// A BatchRef names a batch: what Pub/Sub carries to deliver.
type BatchRef struct {
	Mailing string `json:"mailing"`
	Batch   string `json:"batch"`
}

// A DispatchMessage asks dispatch to start a mailing (Shard Start), to take its
// flags back (Shard DispatchUnflag), or to go on with one of its shards.
type DispatchMessage struct {
	Mailing string `json:"mailing"`
	Shard   int    `json:"shard"`
}

// What an order asks for that names no shard.
const (
	DispatchStart  = -1 // start the mailing
	DispatchUnflag = -2 // begin, or go on, to take its flags back: see Unflag
)

// A Target is one push token of a batch and what is needed to ring it.
type Target struct {
	Customer   string // the customer's id
	Token      string // the push token itself
	Kind       Kind
	Platform   Platform
	App        string         // the app that registered the token, "" if nobody said
	Young      bool           // an app registered it less than YoungToken before the batch was created
	Attributes map[string]any // those the mailing's templates name, nil without templates
}

// A Result is the result on one target of a batch, one byte as stored.
type Result byte

// The results. Pending is no result yet.
const (
	ResultPending Result = iota
	ResultAccepted
	ResultUnregistered
	ResultInvalidArgument
	ResultRefused     // FCM takes no message like this for it
	ResultFailed      // given up
	ResultExpired     // the mailing's lifetime ended first
	ResultCancelled   // by hand, or the token moved, was erased, opted out or flagged meanwhile
	ResultWrongSender // the token belongs to another Firebase project
	resultCount
)

// Codes that mark a token invalid: errorCode or status of FCM's answer, and our
// own for a token too long unseen.
const (
	CodeUnregistered    = "UNREGISTERED"
	CodeInvalidArgument = "INVALID_ARGUMENT"
	CodeWrongSender     = "SENDER_ID_MISMATCH"
	CodeExpired         = "EXPIRED"
)

// CodeSuperseded says that another token of the same phone took a token's place.
// It marks no token invalid: a superseded token is removed.
const CodeSuperseded = "SUPERSEDED"

// Known reports whether r is a result this version knows.
func (r Result) Known() bool { return r < resultCount }

// resultNames are the results as the API has them, in order.
var resultNames = [resultCount]string{"pending", "accepted", "invalid", "invalid", "refused", "failed", "expired", "cancelled", "invalid"}

// String is the result as the API has it: which of the invalid ones it is, Code says.
func (r Result) String() string {
	if !r.Known() {
		return "unknown"
	}
	return resultNames[r]
}

// Code is the errorCode behind an invalid result, "" for any other.
func (r Result) Code() string {
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

// A Tally counts the results of a batch, by result; index Pending stays 0.
type Tally [resultCount]int64

// TallyOf counts results.
func TallyOf(rs []Result) (t Tally) {
	for _, r := range rs {
		if r != ResultPending && r.Known() {
			t[r]++
		}
	}
	return t
}

// Sum is how many targets have their result.
func (t Tally) Sum() (n int64) {
	for _, x := range t {
		n += x
	}
	return n
}

// A Lease says who may send a batch, and until when.
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

// A Batch is a part of a mailing that one deliver call works through.
type Batch struct {
	BatchRef
	Shard     int
	CutAt     time.Time
	NotBefore time.Time // nothing is sent earlier: a rate, a quota, an outage
	Attempts  int       // how often it was claimed
	Tries     int       // claims since a call last ended well
	Crashes   int       // of these, how many calls ended without giving the batch back
	Saved     bool      // whether the last call that claimed it stored any result
	Lease     Lease
	Settled   bool
	Reason    string    // why targets failed, if any did
	Revision  time.Time // the store's mark: a save based on an older one fails

	Lane        Lane      // which subscription of deliver it is published to
	PublishedAt time.Time // when a message for it was last published; zero again once a call has leased it

	Targets   []Target
	Results   []Result // one a target
	OwedFlags []int    // targets whose flag or event is not stored yet
	HeldFlags []int    // those of Owed whose flag waits for evidence: it is not decided yet

	// CrashedWith is, by target, how many calls crashed while it may have been
	// under way; nil if no call ever crashed with the batch. It is never taken
	// back: a phone may have received the message that often already.
	CrashedWith []byte
	// UnderWay lists what the call that has the batch may have under way and not
	// saved. Only a call that finds CrashedWith set stores it, before it sends.
	UnderWay      []int
	InvalidTokens []InvalidToken // the tokens this batch found invalid
}

// Crashed is how many calls in a row ended without giving the batch back, as of
// a moment at which nobody holds it: a lease that is still there is one of a
// call that crashed.
func (b *Batch) Crashed() int {
	if b.Lease.Owner != "" {
		return b.Crashes + 1
	}
	return b.Crashes
}

// MostCrashes is how many calls crashed with the pending target they crashed
// with most, as of a moment at which nobody holds the batch.
func (b *Batch) MostCrashes() int {
	most := 0
	for i, n := range b.countCrash() {
		if b.Results[i] == ResultPending {
			most = max(most, int(n))
		}
	}
	return most
}

// countCrash is CrashedWith once the call is counted whose lease is still there. The
// first call that crashes may have sent any pending target; those after it have
// stored what they were about to send.
func (b *Batch) countCrash() []byte {
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

// Claim gives the batch to the owner of a lease.
func (b *Batch) Claim(l Lease) {
	b.CrashedWith = b.countCrash()
	b.UnderWay = nil
	b.Crashes = b.Crashed()
	b.Attempts++
	b.Tries++
	b.Saved = false
	b.Lease = l
}

// Release takes the batch from its owner, whose call ended well, or failed but
// has stored what it came to.
func (b *Batch) Release(well bool) {
	b.Lease = Lease{}
	b.Crashes = 0
	if well {
		b.Tries = 0
	}
}

// PendingTargets lists the targets still without a result.
func (b *Batch) PendingTargets() []int {
	var out []int
	for i, r := range b.Results {
		if r == ResultPending {
			out = append(out, i)
		}
	}
	return out
}

// HeldByCode counts the flags that wait for evidence, by the code of the token's
// result.
func (b *Batch) HeldByCode() map[string]int64 {
	n := map[string]int64{}
	for _, i := range b.HeldFlags {
		n[b.Results[i].Code()]++
	}
	return n
}

// ClosePending gives every target still pending that result.
func (b *Batch) ClosePending(r Result) (n int) {
	for i := range b.Results {
		if b.Results[i] == ResultPending {
			b.Results[i] = r
			n++
		}
	}
	return n
}

// EraseTargets takes the targets of customers away and keeps their places: a target
// without a result is cancelled, and nothing is owed of any. It reports whether
// there was one.
func (b *Batch) EraseTargets(erased func(customer string) bool) (found bool) {
	for i, t := range b.Targets {
		if t.Customer == "" || !erased(t.Customer) {
			continue
		}
		found = true
		b.Targets[i] = Target{Kind: t.Kind, Platform: t.Platform}
		if b.Results[i] == ResultPending {
			b.Results[i] = ResultCancelled
		}
		b.OwedFlags = slices.DeleteFunc(b.OwedFlags, func(owed int) bool { return owed == i })
		b.HeldFlags = slices.DeleteFunc(b.HeldFlags, func(held int) bool { return held == i })
	}

	b.InvalidTokens = slices.DeleteFunc(b.InvalidTokens, func(d InvalidToken) bool { return erased(d.Customer) })
	return found
}

// A Shard is one range of the audience's keys and how far dispatch has come.
type Shard struct {
	Mailing    string
	Number     int
	From       string // the range's lower end, exclusive; "" is the start of all keys
	After      string // keys up to and including this one are done; at first From
	Upto       string // the range's upper end, inclusive; "" is the end of all keys
	Batches    int    // cut so far
	Done       bool
	LeaseUntil time.Time // until then a dispatch call has it; zero: none has
	NextSlot   time.Time // rate-limited mailings: when the next batch may be sent
	Revision   time.Time // as a batch's
	ExpireAt   time.Time // from then on the store may drop it and its batches

	ContinueAt  time.Time // when to go on cutting; zero: at once
	PublishedAt time.Time // when a message for it was last published; zero again once a call has taken it
	AudienceCounts
}
