package chaos

import (
	"cmp"
	"reflect"

	"carillon.example/shared/push"
)

// platformResults has the results of the targets of a mailing by platform, as sums name
// it.
type platformResults map[string][]push.Result

func (p platformResults) add(of push.Platform, result push.Result) {
	p[of.NameInSums()] = append(p[of.NameInSums()], result)
}

// appResults has the results of the targets of a mailing by app, as sums name it.
type appResults map[string][]push.Result

func (a appResults) add(app string, result push.Result) {
	name := cmp.Or(app, push.UnknownApp)
	a[name] = append(a[name], result)
}

// checkApps compares the API's totals of each app with the stored results.
func (o *mailingCheck) checkApps() {
	if len(o.mailing.final.Apps) != len(o.apps) {
		o.addFinding(brokenSums, "mailing %s has the totals of %d apps, its targets have %d", o.mailing.id, len(o.mailing.final.Apps), len(o.apps))
	}
	for name, results := range o.apps {
		got, want := o.mailing.final.Apps[name], push.NewTokenTotals(int64(len(results)), push.TallyOf(results))
		if !reflect.DeepEqual(got, want) {
			o.addFinding(brokenSums, "mailing %s has the token totals %+v of the app %s, its results are %+v", o.mailing.id, got, name, want)
		}
	}
}

// checkPlatforms compares the API's totals of each platform with the stored results.
func (o *mailingCheck) checkPlatforms() {
	for _, name := range push.PlatformNames() {
		results := o.platforms[name]
		got, want := o.mailing.final.Platforms[name], push.NewTokenTotals(int64(len(results)), push.TallyOf(results))
		if !reflect.DeepEqual(got, want) {
			o.addFinding(brokenSums, "mailing %s has the token totals %+v of the platform %s, its results are %+v", o.mailing.id, got, name, want)
		}
	}
}
