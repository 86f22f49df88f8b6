package push_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"testing"
	"time"

	"carillon.example/shared/push"
)

// TestLeasesAreCounted: a lease that is still stored when the next call leases the batch is
// that of a call that crashed. A call that failed and released the lease has not crashed.
func TestLeasesAreCounted(t *testing.T) {
	t.Parallel()
	lease := push.Lease{Owner: "me", Until: time.Unix(1, 0)}
	var b push.Batch
	for i, step := range []struct {
		name           string
		do             func()
		tries, crashed int
	}{
		{"leased", func() { b.AcquireLease(lease) }, 1, 1},
		{"leased after a crash", func() { b.AcquireLease(lease) }, 2, 2},
		{"failed, and given back", func() { b.ReleaseLease(false) }, 2, 0},
		{"leased", func() { b.AcquireLease(lease) }, 3, 1},
		{"ended well", func() { b.ReleaseLease(true) }, 0, 0},
	} {
		step.do()
		if b.Tries != step.tries {
			t.Errorf("step %d, %s: tries are %d, want %d", i, step.name, b.Tries, step.tries)
		}
		if got := b.CountCrashes(); got != step.crashed {
			t.Errorf("step %d, %s: crashes are %d, want %d", i, step.name, got, step.crashed)
		}
	}

	if b.Leases != 3 {
		t.Errorf("leased %d times, want 3", b.Leases)
	}

	b.Saved = true
	b.AcquireLease(lease)
	if b.Saved {
		t.Error("after a new lease Saved is true")
	}
}

// TestCrashesAreCountedByTarget: the first crash counts for every pending target, a later
// one for the targets that were stored as under way. A call that succeeds does not decrease
// the counts.
func TestCrashesAreCountedByTarget(t *testing.T) {
	t.Parallel()
	lease := push.Lease{Owner: "me", Until: time.Unix(1, 0)}
	b := push.Batch{Results: []push.Result{push.ResultAccepted, push.ResultPending, push.ResultPending, push.ResultPending}}
	for i, step := range []struct {
		name string
		do   func()
		want []byte
		most int // of pending targets, should the call that has the lease have crashed
	}{
		{"leased", func() { b.AcquireLease(lease) }, nil, 1},
		{"leased after a crash", func() { b.AcquireLease(lease) }, []byte{0, 1, 1, 1}, 1},
		{"two stored as under way", func() { b.UnderWay = []int{1, 2} }, []byte{0, 1, 1, 1}, 2},
		{"leased after a crash", func() { b.AcquireLease(lease) }, []byte{0, 2, 2, 1}, 2},
		{"one of them saved", func() { b.UnderWay, b.Results[1] = []int{1, 2}, push.ResultAccepted }, []byte{0, 2, 2, 1}, 3},
		{"ended well", func() { b.UnderWay = nil; b.ReleaseLease(true) }, []byte{0, 2, 2, 1}, 2},
		{"leased", func() { b.AcquireLease(lease) }, []byte{0, 2, 2, 1}, 2},
		{"leased after a crash with nothing under way", func() { b.AcquireLease(lease) }, []byte{0, 2, 2, 1}, 2},
	} {
		step.do()
		if !bytes.Equal(b.CrashedWith, step.want) {
			t.Errorf("step %d, %s: crashed with %v, want %v", i, step.name, b.CrashedWith, step.want)
		}
		if got := b.MostCrashes(); got != step.most {
			t.Errorf("step %d, %s: at most %d crashes with a pending target, want %d", i, step.name, got, step.most)
		}
	}
}

// TestNumbersOfTargetsStayWhole: a float would change whole numbers above 2⁵³.
func TestNumbersOfTargetsStayWhole(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{0, 1<<53 + 1, 1234567890123456789, math.MaxInt64, -math.MaxInt64} {
		raw, err := push.EncodeTargets([]push.Target{{Customer: "c", Token: "t", Kind: push.KindToken, Attributes: map[string]any{"card": n, "share": 12.5}}})
		if err != nil {
			t.Fatal(err)
		}

		targets, err := push.DecodeTargets(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := targets[0].Attributes["card"], json.Number(strconv.FormatInt(n, 10)); got != want {
			t.Errorf("decoded %v, want %v", got, want)
		}
		if got, want := targets[0].Attributes["share"], json.Number("12.5"); got != want {
			t.Errorf("decoded %v, want %v", got, want)
		}

		again, err := push.EncodeTargets(targets)
		if err != nil {
			t.Fatal(err)
		}
		if string(again) != string(raw) {
			t.Errorf("encoded again %q, want %q", again, raw)
		}
	}
}
