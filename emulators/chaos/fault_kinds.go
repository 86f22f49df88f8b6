package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The kinds of faults, as -faults names them.
const (
	faultKills         = "kills"
	faultBlackouts     = "blackouts"
	faultFCM           = "fcm"
	faultFirestore     = "firestore"
	faultPubSub        = "pubsub"
	faultSlowFirestore = "slow-firestore"
	faultPoison        = "poison"
	faultUndecodable   = "undecodable"
	faultResume        = "resume"
	faultUnflag        = "unflag"
	faultBase404       = "base404"
	faultOtherProject  = "other-project"
	faultUnknownFIDs   = "unknown-fids"
	faultMigration     = "migration"
)

// faultKinds are the names that -faults accepts. The usual ones are on without the
// flag.
var faultKinds = map[string]struct {
	usual bool
	what  string
}{
	faultKills:         {true, "instances are killed or get SIGTERM"},
	faultBlackouts:     {true, "all instances of deliver are down for some seconds"},
	faultFCM:           {true, "FCM answers errors, hangs, breaks connections"},
	faultFirestore:     {true, "Firestore fails, loses answers, is unavailable for seconds"},
	faultPubSub:        {true, "Pub/Sub delivers twice, late and in another order"},
	faultSlowFirestore: {true, "Firestore takes 100 ms more for each RPC, for 20 to 40 s at a time"},
	faultPoison:        {false, "a batch crashes each instance that sends it"},
	faultUndecodable:   {false, "a mailing and customers whose documents do not decode"},
	faultResume:        {false, "a mailing is paused, and sends soon after it is resumed"},
	faultUnflag:        {false, "a mailing is unflagged while it is sending"},
	faultBase404:       {false, "every token answers UNREGISTERED for a third of the run"},
	faultOtherProject:  {false, "the tokens belong to another project for a third of the run; a third of them are FIDs"},
	faultUnknownFIDs:   {false, "an app update registers FIDs that FCM does not know until these faults end"},
	faultMigration:     {false, "apps move from registration tokens to FIDs; the FID makes the token invalid"},
}

// A faultSet is the set of kinds of faults that a run has.
type faultSet map[string]bool

// usualFaults is the faultSet of a run without the flag -faults.
func usualFaults() faultSet {
	f := faultSet{}
	for name, w := range faultKinds {
		if w.usual {
			f[name] = true
		}
	}
	return f
}

// ParseFaults parses names that are separated by commas. The run has only these
// kinds of faults. "usual" stands for those that are on by default, "all" for all,
// "none" for none, and -name removes one.
func ParseFaults(text string) (faultSet, error) {
	f := faultSet{}
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		bare, without := strings.CutPrefix(name, "-")
		_, known := faultKinds[bare]
		switch {
		case name == "usual":
			maps.Copy(f, usualFaults())
		case name == "all":
			for n := range faultKinds {
				f[n] = true
			}
		case name == "none":
		case known && without:
			delete(f, bare)
		case known:
			f[name] = true
		default:
			return nil, fmt.Errorf("-faults: unknown name %q, want usual, all, none or some of %s", name,
				strings.Join(slices.Sorted(maps.Keys(faultKinds)), ", "))
		}
	}

	return f, nil
}

func (f faultSet) String() string { return strings.Join(slices.Sorted(maps.Keys(f)), ",") }

// makesFCMUnreliable reports whether FCM gives wrong answers for valid tokens in this
// run. A result or a pause that follows such an answer is correct; a flag is not.
func (f faultSet) makesFCMUnreliable() bool {
	return f[faultBase404] || f[faultOtherProject] || f[faultUnknownFIDs] || f[faultMigration]
}

// hasFIDs reports whether customers have FIDs.
func (f faultSet) hasFIDs() bool {
	return f[faultOtherProject] || f[faultUnknownFIDs] || f[faultMigration]
}

// mailingKinds are the kinds of mailings of a run, in turn: first those that belong
// to a kind of faults.
func (f faultSet) mailingKinds() []string {
	var out []string
	for _, name := range []string{faultPoison, faultUnflag, faultResume} {
		if f[name] {
			out = append(out, name)
		}
	}
	return append(out, "everyone", "segments", "variants", "hours", "paused", "latest", "rate", "cancelled", "dry run", "listed", "scheduled", "tokens", "expiring", "promo")
}
