package store_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carillon.example/shared/push"
)

// TestALostAnswerIsNoOutdatedCondition: the second try of a change meets the
// first one's effect.
func TestALostAnswerIsNoOutdatedCondition(t *testing.T) {
	t.Parallel()
	w, l := newLossyHarness(t)
	w.register(t, "anna", "t")
	out := true
	patch := push.CustomerPatch{OptedOut: &out, Precondition: &push.Precondition{Revisions: []int64{w.customer(t, "anna").Revision}}}
	l.whenLost(t, "patching", func() error {
		_, err := w.PatchCustomer(t.Context(), "anna", patch)
		return err
	})
	if !w.customer(t, "anna").OptedOut {
		t.Error("the patch is not stored")
	}
	if _, err := w.PatchCustomer(t.Context(), "anna", patch); !isOutdated(err) {
		t.Errorf("the same condition again: %v, want it outdated", err)
	}

	first := &push.Precondition{Revisions: []int64{0}}
	set := push.Settings{Devices: push.LatestDevice, Muted: push.MutedSkip, WrongSender: push.WrongSenderKeep}
	l.whenLost(t, "storing the settings", func() error {
		_, err := w.SaveSettings(t.Context(), set, first)
		return err
	})
	if _, err := w.SaveSettings(t.Context(), set, first); !isOutdated(err) {
		t.Errorf("the same condition of settings again: %v, want it outdated", err)
	}
	now := w.clock.Now()
	set.Revision, set.ChangedAt = 1, &now
	got, err := w.ReadSettings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(set, got); d != "" {
		t.Errorf("the settings (-want +got):\n%s", d)
	}
}

func isOutdated(err error) bool { _, ok := errors.AsType[*push.PreconditionFailed](err); return ok }
