package push

import (
	"cmp"
	"maps"
	"slices"
)

const (
	// UnknownApp is how sums name the tokens that were registered without an app.
	UnknownApp = "unknown"
	// OtherApps is how sums name together the apps beyond MaxAppSums.
	OtherApps = "other"
	// MaxAppSums is how many apps have sums of their own. The name of an app is any text,
	// so a faulty client could make as many as there are tokens.
	MaxAppSums = 50
)

// An AppTally counts targets and results of one app.
type AppTally struct {
	Size  int64
	Tally Tally
}

// TallyByApp counts targets and results by app.
func TallyByApp(targets []Target, results []Result) map[string]AppTally {
	byApp := map[string][]Result{}
	for i, t := range targets {
		app := cmp.Or(t.App, UnknownApp)
		byApp[app] = append(byApp[app], results[i])
	}
	out := make(map[string]AppTally, len(byApp))
	for app, list := range byApp {
		out[app] = AppTally{int64(len(list)), TallyOf(list)}
	}
	return out
}

// Add adds the counts of b.
func (a *AppTally) Add(b AppTally) {
	a.Size += b.Size
	for r, n := range b.Tally {
		a.Tally[r] += n
	}
}

// AppsBySize lists apps, those with the most targets first.
func AppsBySize(byApp map[string]AppTally) []string {
	return slices.SortedFunc(maps.Keys(byApp), func(a, b string) int {
		return cmp.Or(cmp.Compare(byApp[b].Size, byApp[a].Size), cmp.Compare(a, b))
	})
}

// AppTotals returns the sums of each app: those of the MaxAppSums apps with the most
// targets, and together those of all others.
func AppTotals(byApp map[string]AppTally) map[string]TokenTotals {
	shown := map[string]AppTally{}
	for i, name := range AppsBySize(byApp) {
		to := name
		if i >= MaxAppSums {
			to = OtherApps
		}
		sum := shown[to]
		sum.Add(byApp[name])
		shown[to] = sum
	}

	out := make(map[string]TokenTotals, len(shown))
	for name, sum := range shown {
		out[name] = NewTokenTotals(sum.Size, sum.Tally)
	}
	return out
}

// AppTally returns the counts of which t is made.
func (t TokenTotals) AppTally() AppTally {
	a := AppTally{Size: t.Targeted}
	a.Tally[ResultAccepted], a.Tally[ResultRefused], a.Tally[ResultFailed] = t.Accepted, t.Refused, t.Failed
	a.Tally[ResultExpired], a.Tally[ResultCancelled] = t.Expired, t.Cancelled
	a.Tally[ResultUnregistered], a.Tally[ResultInvalidArgument] = t.Invalid[CodeUnregistered], t.Invalid[CodeInvalidArgument]
	a.Tally[ResultWrongSender] = t.Invalid[CodeWrongSender]
	return a
}
