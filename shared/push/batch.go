package push

import (
	"slices"
	"time"
)

// MaxBatch is how many targets one batch has at most: each costs the same few
// reads and writes, whatever its size, and is sent in a second or two.
const MaxBatch = 1000

// A Ref names a batch: what Pub/Sub carries to deliver.
type Ref struct {
	Mailing string `json:"mailing"`
	Batch   string `json:"batch"`
}

// A DispatchOrder asks dispatch to start a mailing (Shard -1) or to go on with
// one of its shards.
type DispatchOrder struct {
	Mailing string `json:"mailing"`
	Shard   int    `json:"shard"`
}

// Start is the shard of an order that starts a mailing.
const Start = -1

// A Target is one push token of a batch and what is needed to ring it.
type Target struct {
	Customer   string // the customer's id
	Token      string // the push token itself
	Kind       Kind
	Platform   Platform
	Attributes map[string]any // those the mailing's templates name, nil without templates
}

// A Receipt is the verdict on one target of a batch, one byte as stored.
type Receipt byte

// The verdicts. Pending is no verdict yet.
const (
	Pending Receipt = iota
	ReceiptAccepted
	ReceiptUnregistered
	ReceiptInvalidArgument
	ReceiptRefused   // FCM takes no message like this for it
	ReceiptFailed    // given up
	ReceiptExpired   // the mailing's lifetime ended first
	ReceiptCancelled // by hand, or the token moved, was erased, opted out or flagged meanwhile
	receipts
)

// Codes that mark a token invalid: errorCode or status of FCM's answer, and our
// own for a token too long unseen.
const (
	CodeUnregistered    = "UNREGISTERED"
	CodeInvalidArgument = "INVALID_ARGUMENT"
	CodeExpired         = "EXPIRED"
)

// CodeSuperseded says that another token of the same phone took a token's place.
// It marks no token invalid: a superseded token is removed.
const CodeSuperseded = "SUPERSEDED"

// Known reports whether r is a verdict this version knows.
func (r Receipt) Known() bool { return r < receipts }

// Code is the errorCode behind an invalid verdict, "" for any other.
func (r Receipt) Code() string {
	switch r {
	case ReceiptUnregistered:
		return CodeUnregistered
	case ReceiptInvalidArgument:
		return CodeInvalidArgument
	}
	return ""
}

// A Tally counts the verdicts of a batch, by receipt; index Pending stays 0.
type Tally [receipts]int64

// TallyOf counts receipts.
func TallyOf(rs []Receipt) (t Tally) {
	for _, r := range rs {
		if r != Pending && r.Known() {
			t[r]++
		}
	}
	return t
}

// Sum is how many targets have their verdict.
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

// Dead is a token that a mailing found invalid.
type Dead struct {
	Customer string    `json:"customer"`
	TokenID  string    `json:"tokenId"`
	Code     string    `json:"code"`
	Status   string    `json:"status,omitempty"`
	At       time.Time `json:"at"`
}

// A Batch is a part of a mailing that one deliver call works through.
type Batch struct {
	Ref
	Shard     int
	CutAt     time.Time
	NotBefore time.Time // nothing is sent earlier: a rate, a quota, an outage
	Attempts  int       // how often it was claimed
	Lease     Lease
	Settled   bool
	Reason    string    // why targets failed, if any did
	Revision  time.Time // the store's mark: a save based on an older one fails

	Targets  []Target
	Receipts []Receipt // one a target
	Owed     []int     // targets whose flag or event is not stored yet
	Dead     []Dead    // the tokens this batch found invalid
}

// Pending lists the targets still without a verdict.
func (b *Batch) Pending() []int {
	var out []int
	for i, r := range b.Receipts {
		if r == Pending {
			out = append(out, i)
		}
	}
	return out
}

// Close gives every target still pending that verdict.
func (b *Batch) Close(r Receipt) (n int) {
	for i := range b.Receipts {
		if b.Receipts[i] == Pending {
			b.Receipts[i] = r
			n++
		}
	}
	return n
}

// Blank takes the targets of customers away and keeps their places: a target
// without a result is cancelled, and nothing is owed of any. It reports whether
// there was one.
func (b *Batch) Blank(erased func(customer string) bool) (found bool) {
	for i, t := range b.Targets {
		if t.Customer == "" || !erased(t.Customer) {
			continue
		}
		found = true
		b.Targets[i] = Target{Kind: t.Kind, Platform: t.Platform}
		if b.Receipts[i] == Pending {
			b.Receipts[i] = ReceiptCancelled
		}
		b.Owed = slices.DeleteFunc(b.Owed, func(owed int) bool { return owed == i })
	}
	b.Dead = slices.DeleteFunc(b.Dead, func(d Dead) bool { return erased(d.Customer) })
	return found
}

// A Shard is one range of the audience's keys and how far dispatch has come.
type Shard struct {
	Mailing  string
	Number   int
	From     string // the range's lower end, exclusive; "" is the start of all keys
	After    string // keys up to and including this one are done; at first From
	Upto     string // the range's upper end, inclusive; "" is the end of all keys
	Batches  int    // cut so far
	Done     bool
	Busy     time.Time // until then a dispatch call has it; zero: none has
	NextSlot time.Time // rate-limited mailings: when the next batch may be sent
	Revision time.Time // as a batch's
	Forget   time.Time // from then on the store may drop it and its batches
	Audited
}
