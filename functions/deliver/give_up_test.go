package deliver

import (
	"testing"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestGivingUpClosesEveryTarget: also of a paused mailing with held flags, whose pending
// targets would otherwise stay so.
func TestGivingUpClosesEveryTarget(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state push.State
		want  push.Result
	}{
		"sending":   {push.Sending, push.ResultFailed},
		"paused":    {push.Paused, push.ResultFailed},
		"cancelled": {push.Cancelled, push.ResultCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newBatchHarness(t, phones.Options{})
			ref := w.mailing("m", true, names("t", 3)...)
			b, err := w.ReadBatch(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			m, err := w.ReadMailingHeader(t.Context(), "m")
			if err != nil {
				t.Fatal(err)
			}
			m.State = c.state
			b.Results[0], b.OwedFlags, b.HeldFlags = push.ResultUnregistered, []int{0}, []int{0}

			if _, err := w.d.giveUpBatch(t.Context(), m, b); err != nil {
				t.Fatal(err)
			}

			stored, err := w.ReadBatch(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			check.Equal(t, stored.Results[1:], []push.Result{c.want, c.want}, "results of the pending targets")
		})
	}
}
