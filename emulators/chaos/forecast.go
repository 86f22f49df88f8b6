package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Weathers of a chaos run, by name.
const (
	weatherKills       = "kills"
	weatherBlackouts   = "blackouts"
	weatherFCM         = "fcm"
	weatherFirestore   = "firestore"
	weatherPubSub      = "pubsub"
	weatherSlow        = "slow-firestore"
	weatherPoison      = "poison"
	weatherUndecodable = "undecodable"
	weatherResume      = "resume"
	weatherUnflag      = "unflag"
	weatherBase404     = "base404"
	weatherProject     = "other-project"
	weatherUnknownFIDs = "unknown-fids"
	weatherMigration   = "migration"
)

// weathers are what -weather may name; those of usual are on without it.
var weathers = map[string]struct {
	usual bool
	what  string
}{
	weatherKills:       {true, "instances are killed, and told to stop"},
	weatherBlackouts:   {true, "all of deliver is down for some seconds"},
	weatherFCM:         {true, "FCM answers errors, hangs, breaks connections"},
	weatherFirestore:   {true, "Firestore fails, loses answers, is out of reach for moments"},
	weatherPubSub:      {true, "Pub/Sub delivers twice, late and in another order"},
	weatherSlow:        {true, "Firestore takes 100 ms more for each RPC, for 20 to 40 s at a time"},
	weatherPoison:      {false, "a batch that ends the instance that sends it, each time"},
	weatherUndecodable: {false, "a mailing and customers whose documents do not decode"},
	weatherResume:      {false, "a mailing is paused, and sends soon after it is resumed"},
	weatherUnflag:      {false, "a mailing's flags are taken back while it is sending"},
	weatherBase404:     {false, "every token answers UNREGISTERED for a third of the run"},
	weatherProject:     {false, "the functions send for another project than the phones', a third of which have FIDs"},
	weatherUnknownFIDs: {false, "an app update registers FIDs that FCM does not know until the weather ends"},
	weatherMigration:   {false, "phones move from registration tokens to FIDs, which exclude each other"},
}

// A forecast is which weathers a run has.
type forecast map[string]bool

// usualWeather are the weathers of a run that is asked for none.
func usualWeather() forecast {
	f := forecast{}
	for name, w := range weathers {
		if w.usual {
			f[name] = true
		}
	}
	return f
}

// ParseWeather reads names separated by commas: those alone, with usual for
// those that are on by default, all for every one, and -name for all but one.
func ParseWeather(text string) (forecast, error) {
	f := forecast{}
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		bare, without := strings.CutPrefix(name, "-")
		_, known := weathers[bare]
		switch {
		case name == "usual":
			maps.Copy(f, usualWeather())
		case name == "all":
			for n := range weathers {
				f[n] = true
			}
		case name == "none":
		case known && without:
			delete(f, bare)
		case known:
			f[name] = true
		default:
			return nil, fmt.Errorf("-weather: there is no weather %q: usual, all, none and %s are", name,
				strings.Join(slices.Sorted(maps.Keys(weathers)), ", "))
		}
	}

	return f, nil
}

func (f forecast) String() string { return strings.Join(slices.Sorted(maps.Keys(f)), ",") }

// doubtsFCM reports whether FCM says things of live phones that are not true:
// then a result or a pause that says so is no fault, and a flag is.
func (f forecast) doubtsFCM() bool {
	return f[weatherBase404] || f[weatherProject] || f[weatherUnknownFIDs] || f[weatherMigration]
}

// hasFIDs reports whether phones have installation ids.
func (f forecast) hasFIDs() bool {
	return f[weatherProject] || f[weatherUnknownFIDs] || f[weatherMigration]
}

// kinds are the mailings of a run, in turn: those that a weather needs first.
func (f forecast) kinds() []string {
	var out []string
	for _, name := range []string{weatherPoison, weatherUnflag, weatherResume} {
		if f[name] {
			out = append(out, name)
		}
	}
	return append(out, "everyone", "segments", "variants", "paused", "latest", "rate", "cancelled", "dry run", "listed", "scheduled", "tokens", "expiring", "promo")
}
