package chaos

import (
	"fmt"
	"sync"
)

// The names of the broken promises in the report.
const (
	brokenLost          = "lost"               // a target was not sent, or a result has no cause
	brokenDuplicates    = "duplicates"         // sent twice, without a kill, a lost answer or a failed save between
	brokenTooManyAtKill = "too many at a kill" // more than maxResentByKill
	brokenSums          = "sums off"
	brokenFlagged       = "wrongly flagged"
	brokenMissedFlags   = "missed flags"
	brokenAvailability  = "availability wrong"
	brokenErased        = "erased and there" // rung, a target or stored after the erasure
	brokenRosters       = "rosters wrong"
	brokenEvents        = "events missing"
	brokenSendCount     = "sent too often" // more than maxSendsPerToken times for one mailing
	brokenFalseEvents   = "false events"
	brokenSlow          = "too slow"
	brokenOther         = "other"
)

// maxResentByKill is how many targets of a batch a killed call may send again.
const maxResentByKill = 250

// findings are the broken promises. They are safe for concurrent use.
type findings struct {
	mu     sync.Mutex // guards the fields below
	counts map[string]int
	texts  []string
}

// maxFindingTexts is how many findings of a kind are printed in words: a kind with many must
// not hide another.
const maxFindingTexts = 20

// addFinding counts a broken promise, and keeps its text.
func (f *findings) addFinding(kind, format string, a ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counts == nil {
		f.counts = map[string]int{}
	}
	f.counts[kind]++
	if f.counts[kind] <= maxFindingTexts {
		f.texts = append(f.texts, kind+": "+fmt.Sprintf(format, a...))
	}
}

// runTotals are the figures of the run.
type runTotals struct {
	Mailings  int            `json:"mailings"`
	Messages  int            `json:"messages"` // to one customer each; their tokens are in the totals, too
	States    map[string]int `json:"states"`
	Batches   int            `json:"batches"`
	Tokens    int            `json:"tokens"`
	Accepted  int            `json:"accepted"`
	Invalid   int            `json:"invalid"`
	Failed    int            `json:"failed"` // in batches that Pub/Sub gave up
	Expired   int            `json:"expired"`
	Cancelled int            `json:"cancelled"`
	Delivered int            `json:"delivered"` // sends that FCM accepted, with repeats

	Reports int `json:"reports"` // that phones reported and that count

	Killed     int `json:"duplicates_of_killed"`
	MostKilled int `json:"most_of_one_killed_call"`
	Answers    int `json:"duplicates_of_lost_answers"`
	Saves      int `json:"duplicates_of_failed_saves"`
	Unrecorded int `json:"sent_but_not_recorded"` // FCM accepted it, and a kill, a lost answer or a failed save hid that
	BothOwners int `json:"moved_and_rung_for_both"`
	MostSends  int `json:"most_sends"` // to one token for one mailing

	ResumeSeconds float64 `json:"resume_seconds,omitempty"` // the longest from a resume to the next message
}
