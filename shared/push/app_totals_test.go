package push_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carillon.example/shared/push"
)

func TestAppTotalsShowTheLargestApps(t *testing.T) {
	t.Parallel()
	var targets []push.Target
	var results []push.Result
	for app := range push.MaxAppSums + 3 { // the nth app has n+1 tokens
		for range app + 1 {
			targets, results = append(targets, push.Target{App: fmt.Sprintf("app-%02d", app)}), append(results, push.ResultAccepted)
		}
	}
	got := push.AppTotals(push.TallyByApp(targets, results))
	if want := push.MaxAppSums + 1; len(got) != want {
		t.Errorf("%d apps have sums, want %d", len(got), want)
	}
	smallest := push.NewTokenTotals(1+2+3, push.Tally{push.ResultAccepted: 1 + 2 + 3})
	if diff := cmp.Diff(smallest, got[push.OtherApps]); diff != "" {
		t.Errorf("the sums of all other apps differ (-want +got):\n%s", diff)
	}
}

func TestTheTallyOfTotals(t *testing.T) {
	t.Parallel()
	results := []push.Result{push.ResultAccepted, push.ResultUnregistered, push.ResultInvalidArgument, push.ResultWrongSender, push.ResultRefused,
		push.ResultFailed, push.ResultExpired, push.ResultCancelled, push.ResultPending}
	want := push.AppTally{Size: int64(len(results)), Tally: push.TallyOf(results)}
	got := push.NewTokenTotals(want.Size, want.Tally).AppTally()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the tally differs (-want +got):\n%s", diff)
	}
}
